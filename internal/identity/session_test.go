package identity

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// role makes a role that nobody is trusted with, which is of no matter here.
func (h *house) role(name string) (id string) {
	h.t.Helper()
	id = "AROA" + rand.Text()[:17]
	h.exec(`INSERT INTO iam_role (id, account, name, name_key, path, created_at, boundary, trust, description, max_session, linked_service, used_region)
		VALUES ($1, $2, $3, $4, '/team/', 0, '', '{}', '', 3600, '', '')`, id, account, name, strings.ToLower(name))
	return id
}

func (h *house) session(owner string, s Session, life time.Duration) Credentials {
	h.t.Helper()
	c, err := h.IssueSession(account, owner, s, life)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func TestRoleSession(t *testing.T) {
	h := newHouse(t)
	role := h.role("Builder")
	h.exec(`INSERT INTO iam_tag (owner, name_key, name, value) VALUES ($1, 'team', 'Team', 'role''s'), ($1, 'unit', 'Unit', 'u')`, role)
	creds := h.session(role, Session{Kind: RoleSession, Name: "run1", SourceIdentity: "ann", MFA: 1, Tags: map[string]string{"team": "session's", "new": "n"},
		Policies: []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`}}, time.Hour)
	if !strings.HasPrefix(creds.AccessKeyID, "ASIA") || creds.Packed < 1 || creds.Packed > 15 || !creds.Expires.Equal(h.clock.now().Add(time.Hour).Truncate(time.Microsecond)) {
		t.Errorf("%+v", creds)
	}
	for range 2 { // the second time from memory
		c := h.mustAuthenticate(creds.AccessKeyID, creds.SessionToken)
		if !c.Secret.Equal(creds.Secret) {
			t.Error("another secret")
		}
		p := c.Caller.Principal
		if p.ARN != "arn:aws:sts::123456789012:assumed-role/Builder/run1" || p.Role != "arn:aws:iam::123456789012:role/team/Builder" || p.ID != role ||
			c.Caller.Type != TypeRole || c.Caller.PrincipalID != role+":run1" || c.Caller.AccessKeyID != creds.AccessKeyID || len(c.Caller.Session.Documents()) != 1 {
			t.Errorf("the session is %+v", c.Caller)
		}
		want := map[string][]string{
			"aws:principalarn": {"arn:aws:iam::123456789012:role/team/Builder"}, "aws:principalaccount": {account}, "aws:principaltype": {"AssumedRole"},
			"aws:principalisawsservice": {"false"}, "aws:userid": {role + ":run1"}, "aws:tokenissuetime": {"2026-01-15T12:30:45Z"},
			"aws:multifactorauthpresent": {"false"}, "aws:sourceidentity": {"ann"},
			"aws:principaltag/team": {"session's"}, "aws:principaltag/unit": {"u"}, "aws:principaltag/new": {"n"},
		}
		if diff := cmp.Diff(want, map[string][]string(c.Caller.Keys)); diff != "" {
			t.Errorf("condition keys: -want +got\n%s", diff)
		}
	}
	h.exec(`DELETE FROM iam_role WHERE id = $1`, role)
	h.unknown("the role is gone", creds.AccessKeyID, creds.SessionToken)
	h.role("Builder")
	h.unknown("another role has its name", creds.AccessKeyID, creds.SessionToken)
}

func TestUserAndFederationSessions(t *testing.T) {
	h := newHouse(t)
	ann, id, _ := h.user("ann")
	mfa := h.clock.now().UnixMicro()
	own := h.session(ann.ID, Session{Kind: UserSession, Parent: id, MFA: mfa}, time.Hour)
	c := h.mustAuthenticate(own.AccessKeyID, own.SessionToken).Caller
	if c.Principal.ARN != ann.ARN() || c.Type != TypeUser || c.Name != "ann" || c.Keys["aws:multifactorauthpresent"][0] != "true" || c.Keys["aws:username"][0] != "ann" {
		t.Errorf("her own session: %+v", c)
	}
	federated := h.session(ann.ID, Session{Kind: FederationSession, Name: "bob", Parent: id, Tags: map[string]string{"k": "v"}}, time.Hour)
	c = h.mustAuthenticate(federated.AccessKeyID, federated.SessionToken).Caller
	if c.Principal.ARN != "arn:aws:sts::123456789012:federated-user/bob" || c.Principal.User != ann.ARN() || c.Type != TypeFederated ||
		c.PrincipalID != account+":bob" || c.Keys["aws:username"] != nil || c.Keys["aws:principaltag/k"][0] != "v" {
		t.Errorf("a federated session: %+v", c)
	}
	byRoot := h.session(account, Session{Kind: UserSession, Parent: exampleID, MFA: mfa}, time.Hour)
	c = h.mustAuthenticate(byRoot.AccessKeyID, byRoot.SessionToken).Caller
	if !c.Principal.Root || c.Principal.ARN != iam.RootOf(account) || c.Type != TypeRoot || c.Keys["aws:multifactorauthpresent"][0] != "true" {
		t.Errorf("the root's session: %+v", c)
	}
	ofRoot := h.session(account, Session{Kind: FederationSession, Name: "bob", Parent: exampleID}, time.Hour)
	c = h.mustAuthenticate(ofRoot.AccessKeyID, ofRoot.SessionToken).Caller
	if c.Principal.Root || c.Principal.User != iam.RootOf(account) || c.Type != TypeFederated || c.PrincipalID != account+":bob" {
		t.Errorf("the root's federated user: %+v", c)
	}
	h.exec(`UPDATE access_key SET active = 0 WHERE id = $1`, id)
	h.unknown("the key that it was made with is inactive", own.AccessKeyID, own.SessionToken)
	h.unknown("the key that it was made with is inactive", federated.AccessKeyID, federated.SessionToken)
	h.exec(`UPDATE access_key SET active = 1 WHERE id = $1`, id)
	h.mustAuthenticate(own.AccessKeyID, own.SessionToken)
	h.exec(`DELETE FROM iam_user WHERE id = $1`, ann.ID)
	h.unknown("the user is gone", own.AccessKeyID, own.SessionToken)
}

func TestSessionTokensOfOthers(t *testing.T) {
	h := newHouse(t)
	role := h.role("Builder")
	one, two := h.session(role, Session{Kind: RoleSession, Name: "one"}, time.Hour), h.session(role, Session{Kind: RoleSession, Name: "two"}, time.Hour)
	h.mustAuthenticate(one.AccessKeyID, one.SessionToken)
	h.mustAuthenticate(two.AccessKeyID, two.SessionToken)
	h.unknown("another session's token", one.AccessKeyID, two.SessionToken)
	h.unknown("no token", one.AccessKeyID, noToken)
	h.unknown("the token with a long-term key", exampleID, one.SessionToken)
	remembered := len(h.callers)
	alter(t, one.SessionToken.Reveal(), func(what, altered string) { h.unknown(what, one.AccessKeyID, secret.New(altered)) })
	key := h.key
	h.key = seal.NewKey()
	foreign := h.session(role, Session{Kind: RoleSession, Name: "one"}, time.Hour)
	h.key = key
	h.unknown("a token of another installation", foreign.AccessKeyID, foreign.SessionToken)
	if len(h.callers) != remembered {
		t.Error("bad tokens are remembered")
	}
	if _, err := h.CheckRegistryToken(t.Context(), one.SessionToken.Reveal()); !errors.Is(err, ErrTokenInvalid) {
		t.Errorf("a session token as a registry token: %v", err)
	}
}

func TestSessionExpires(t *testing.T) {
	h := newHouse(t)
	creds := h.session(h.role("Builder"), Session{Kind: RoleSession, Name: "run1"}, time.Hour)
	h.clock.advance(time.Hour - time.Microsecond)
	h.mustAuthenticate(creds.AccessKeyID, creds.SessionToken)
	registry, expires := h.issue(h.mustAuthenticate(creds.AccessKeyID, creds.SessionToken).Caller, "us-east-1")
	if !expires.Equal(creds.Expires) {
		t.Errorf("a registry token of the session ends at %v, and the session at %v", expires, creds.Expires)
	}
	if _, err := h.check(registry); err != nil {
		t.Error(err)
	}
	h.clock.advance(time.Microsecond)
	for range 2 {
		if c, err := h.Authenticate(t.Context(), creds.AccessKeyID, creds.SessionToken); !errors.Is(err, ErrTokenExpired) || !c.Caller.Anonymous() {
			t.Errorf("%+v, error %v", c, err)
		}
		if _, err := h.check(registry); !errors.Is(err, ErrTokenExpired) {
			t.Errorf("the registry token: %v", err)
		}
	}
}

// The sessions of an account, and the registry tokens, that were issued before a moment can be made void.
func TestRevokedSessions(t *testing.T) {
	h := newHouse(t)
	creds := h.session(h.role("Builder"), Session{Kind: RoleSession, Name: "run1"}, time.Hour)
	h.clock.advance(time.Second)
	// The token is as old as the session that it comes from.
	ofSession, _ := h.issue(h.mustAuthenticate(creds.AccessKeyID, creds.SessionToken).Caller, "r")
	ofKey, _ := h.issue(h.root(), "r")
	revoke := func() {
		h.update(func(tx *store.Tx) error { return h.iam.RevokeSessions(tx, account, h.clock.now()) })
	}
	revoke()
	h.unknown("a session from before", creds.AccessKeyID, creds.SessionToken)
	if _, err := h.check(ofSession); !errors.Is(err, ErrTokenInvalid) {
		t.Errorf("the registry token of a session from before: %v", err)
	}
	if _, err := h.check(ofKey); err != nil {
		t.Errorf("a registry token of that moment: %v", err)
	}
	h.clock.advance(time.Microsecond)
	revoke()
	if _, err := h.check(ofKey); !errors.Is(err, ErrTokenInvalid) {
		t.Errorf("a registry token from before: %v", err)
	}
	h.root() // long-term keys are not concerned
}

func TestPackedSize(t *testing.T) {
	h := newHouse(t)
	random := func(n int) string {
		text := make([]byte, n)
		rand.Read(text)
		for i := range text {
			text[i] = ' ' + text[i]%90
		}
		return strings.NewReplacer(`"`, "x", `\`, "y").Replace(string(text))
	}
	if c := h.session(account, Session{Kind: UserSession, Parent: exampleID}, time.Hour); c.Packed != 0 {
		t.Errorf("nothing is packed, and takes %d%%", c.Packed)
	}
	// The longest policy that STS takes always fits, and its token into what clients expect.
	full := Session{Kind: FederationSession, Name: random(32), Parent: exampleID, Policies: []string{random(2048)}}
	c := h.session(account, full, time.Hour)
	if c.Packed < 50 || c.Packed > 100 || len(c.SessionToken.Reveal()) > 4096 {
		t.Errorf("%d%%, and a token of %d characters", c.Packed, len(c.SessionToken.Reveal()))
	}
	h.mustAuthenticate(c.AccessKeyID, c.SessionToken)
	tags := map[string]string{}
	for i := range 50 {
		tags[fmt.Sprint(random(120), i)] = random(256)
	}
	full.Tags = tags
	_, err := h.IssueSession(account, account, full, time.Hour)
	var packed *PackedError
	if !errors.As(err, &packed) || packed.Percent <= 100 || packed.Error() != fmt.Sprintf("Packed policy consumes %d%% of allotted space, please use smaller policy.", packed.Percent) {
		t.Errorf("too much: %v", err)
	}
}

// Whatever an identity provider says of somebody, the session is either of a size that is taken or not made.
func TestLargeSessions(t *testing.T) {
	h := newHouse(t)
	role := h.role("Builder")
	made := 0
	for size := 1000; size <= 20_000; size += 1000 {
		text := make([]byte, size)
		rand.Read(text)
		c, err := h.IssueSession(account, role, Session{Kind: RoleSession, Name: "run1", ProviderKeys: map[string][]string{"saml:doc": {base64.StdEncoding.EncodeToString(text)}}}, time.Hour)
		var packed *PackedError
		if errors.As(err, &packed) && packed.Percent > 100 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		made++
		caller := h.mustAuthenticate(c.AccessKeyID, c.SessionToken).Caller
		token, _ := h.issue(caller, strings.Repeat("r", 30))
		if _, err := h.check(token); err != nil {
			t.Errorf("%d bytes: the registry token: %v", size, err)
		}
	}
	if made < 5 || made == 20 {
		t.Errorf("%d sessions were made", made)
	}
}

// However large tokens are, only so much of them is remembered.
func TestMemoryIsBounded(t *testing.T) {
	h := newHouse(t)
	key := newCredentialKey(useSession, "", "")
	for i := range maxRememberedBytes/maxToken + 10 {
		key.id = fmt.Sprint(i)
		h.remember(key, remembered{}, maxToken)
	}
	if n := len(h.callers); n == 0 || n > maxRememberedBytes/maxToken || h.bytes != n*maxToken {
		t.Errorf("%d credentials of %d bytes are remembered", n, h.bytes)
	}
	for range 3 { // again and again the same
		h.remember(key, remembered{}, maxToken)
	}
	if h.bytes != len(h.callers)*maxToken {
		t.Errorf("%d bytes are counted of %d credentials", h.bytes, len(h.callers))
	}
}

func TestAuthorizationMessages(t *testing.T) {
	h := newHouse(t)
	encoded, err := h.EncodeMessage(account, []byte(`{"allowed":false}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := h.DecodeMessage(account, encoded); err != nil || string(got) != `{"allowed":false}` {
		t.Errorf("%s, error %v", got, err)
	}
	refused := func(what, account, encoded string) {
		t.Helper()
		if got, err := h.DecodeMessage(account, encoded); !errors.Is(err, ErrMessageInvalid) || got != nil {
			t.Errorf("%s: %s, error %v", what, got, err)
		}
	}
	refused("of another account", "210987654321", encoded)
	alter(t, encoded, func(what, altered string) { refused(what, account, altered) })
	token, _ := h.issue(h.root(), "r")
	refused("a registry token", account, token)
	if _, err := h.check(encoded); !errors.Is(err, ErrTokenInvalid) {
		t.Errorf("a message as a token: %v", err)
	}
}
