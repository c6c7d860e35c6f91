package identity

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/secret"
)

// Credentials are temporary credentials, which are kept nowhere: the session token holds all there is.
type Credentials struct {
	AccessKeyID  string
	Secret       secret.Text
	SessionToken secret.Text
	Expires      time.Time
	// Packed is how much of the room for session policies and tags is taken, in percent; 0 if there are none.
	Packed int
}

// packedRoom is the room for session policies and tags, in bytes once they are compressed. A session policy of the length
// that STS allows always fits, and with the rest a session token is of about 4096 characters at most.
const packedRoom = 2200

// maxSessionToken bounds the length of a session token, in bytes, whatever an identity provider says of its holder. It
// leaves room for what the tokens of the session hold beside it.
const maxSessionToken = maxToken - 1<<10

// PackedError says that the policies and tags of a session are too large together.
type PackedError struct {
	// Percent is how much of the room they would take.
	Percent int
}

// Error returns the sentence of STS.
func (e *PackedError) Error() string {
	return fmt.Sprintf("Packed policy consumes %d%% of allotted space, please use smaller policy.", e.Percent)
}

// IssueSession makes temporary credentials of a role, a user or, if owner is the account's id, its root, that are good for
// so long. It sets when s was issued and expires. The error is a *PackedError.
func (d *Directory) IssueSession(account, owner string, s Session, life time.Duration) (Credentials, error) {
	packed, err := s.packed()
	if err != nil {
		return Credentials{}, err
	}
	now := d.now()
	s.Issued, s.Expires = now.UnixMicro(), now.Add(life).UnixMicro()
	id, text := iam.NewTemporaryKey(account)
	token, err := d.seal(useSession, grant{Owner: owner, Account: account, Key: id, Secret: text.Reveal(), Session: &s, Issued: s.Issued, Expires: s.Expires})
	if err != nil {
		return Credentials{}, err
	}
	if size := len(token.Reveal()); size > maxSessionToken {
		return Credentials{}, &PackedError{(size*100 + maxSessionToken - 1) / maxSessionToken}
	}
	return Credentials{AccessKeyID: id, Secret: text, SessionToken: token, Expires: s.ExpiresAt(), Packed: packed}, nil
}

// packed is how much of the room the policies and tags take, in percent. The error is a *PackedError.
func (s *Session) packed() (percent int, err error) {
	if !s.HasPolicies() && len(s.Tags) == 0 {
		return 0, nil
	}
	text, err := json.Marshal(Session{Policies: s.Policies, PolicyARNs: s.PolicyARNs, Tags: s.Tags, Transitive: s.Transitive})
	if err != nil {
		return 0, fmt.Errorf("encode session policies: %w", err)
	}
	percent = (len(compress(text))*100 + packedRoom - 1) / packedRoom
	if percent > 100 {
		return 0, &PackedError{percent}
	}
	return percent, nil
}
