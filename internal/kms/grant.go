package kms

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/arn"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// MaxGrants is how many grants a key may have.
const MaxGrants = 50_000

// Constraints are what a grant demands of the encryption context of a request. nil demands nothing.
type Constraints struct {
	// Subset must be part of the encryption context, and Equals must be the whole of it.
	Subset map[string]string `json:",omitempty"`
	Equals map[string]string `json:",omitempty"`
}

// Grant lets a principal do something with a key.
type Grant struct {
	// ID has 64 hexadecimal digits.
	ID, KeyID, KeyARN string
	Name              string
	// Grantee and Retiring are ARNs of principals, unique ids of users and roles in place of their ARNs, or names of services.
	// Retiring may be empty.
	Grantee, Retiring string
	// Issuer is the account that made the grant.
	Issuer      string
	Operations  []string
	Constraints Constraints
	Created     time.Time
}

// NewGrant is what a grant is made from.
type NewGrant struct {
	// Grantee and Retiring are ARNs of principals; Retiring may be empty.
	Grantee, Retiring string
	// Internal is set for a service of the installation that asks for a grant of its own, which may name services.
	Internal    bool
	Operations  []string
	Constraints Constraints
	Name        string
	// Issuer is the account that makes the grant; empty is that of the key.
	Issuer string
}

// grantable are the operations that can be granted, by what the keys are for.
var grantable = map[string][]string{
	UsageEncrypt: {"Decrypt", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncryptFrom", "ReEncryptTo", "CreateGrant",
		"RetireGrant", "DescribeKey", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"},
	UsageSign: {"Sign", "Verify", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey"},
	UsageMac:  {"GenerateMac", "VerifyMac", "CreateGrant", "RetireGrant", "DescribeKey"},
}

// asymmetricGrantable are those for keys that encrypt and are not symmetric.
var asymmetricGrantable = []string{"Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey", "CreateGrant", "RetireGrant", "DescribeKey"}

func (n *NewGrant) check(key Key) error {
	allowed := grantable[key.Usage]
	if key.Usage == UsageEncrypt && !key.Symmetric() {
		allowed = asymmetricGrantable
	}
	if len(n.Operations) == 0 {
		return Errorf(CodeValidation, "Grants must have at least one operation")
	}
	for _, op := range n.Operations {
		if !slices.Contains(allowed, op) {
			return Errorf(CodeValidation, "Operation %s is not valid for the key %s, whose usage is %s", op, key.ARN, key.Usage)
		}
	}
	c := n.Constraints
	if len(c.Subset) > 0 && len(c.Equals) > 0 {
		return Errorf(CodeValidation, "A grant has either EncryptionContextSubset or EncryptionContextEquals")
	}
	if (len(c.Subset) > 0 || len(c.Equals) > 0) && !key.Symmetric() {
		return Errorf(CodeValidation, "Grant constraints are valid for symmetric encryption keys only")
	}
	for _, m := range []map[string]string{c.Subset, c.Equals} {
		if len(m) > 8 {
			return Errorf(CodeValidation, "A grant constraint has at most 8 encryption context pairs")
		}
		for _, value := range m {
			if len(value) > 384 {
				return Errorf(CodeValidation, "A value in a grant constraint has at most 384 characters")
			}
		}
	}
	return nil
}

// CreateGrant makes a grant for a key. One with the name of another that is alike in all else is that other one. The error is
// *Error.
func (k *Keys) CreateGrant(tx *store.Tx, key Key, n NewGrant) (Grant, error) {
	now, err := k.allowed(tx, key, CreateGrant)
	if err != nil {
		return Grant{}, err
	}
	if err := n.check(now); err != nil {
		return Grant{}, err
	}
	g := Grant{KeyID: key.ID, KeyARN: now.ARN, Name: n.Name, Issuer: n.Issuer, Operations: distinct(n.Operations), Constraints: n.Constraints, Created: k.now()}
	if g.Issuer == "" {
		g.Issuer = key.Account
	}
	if g.Grantee, err = k.principal(tx, n.Grantee, n.Internal); err != nil {
		return Grant{}, err
	}
	if n.Retiring != "" {
		if g.Retiring, err = k.principal(tx, n.Retiring, n.Internal); err != nil {
			return Grant{}, err
		}
	}
	if twin, ok, err := k.twin(tx, g); ok || err != nil {
		return twin, err
	}
	var count int
	if err := tx.QueryRow(`SELECT count(*) FROM (SELECT 1 FROM kms_grant WHERE key = $1 LIMIT $2) AS found`, key.ID, MaxGrants).Scan(&count); err != nil {
		return Grant{}, fmt.Errorf("count the grants of key %s: %w", key.ID, err)
	}
	if count >= MaxGrants {
		return Grant{}, Errorf(CodeLimitExceeded, "The key %s has %d grants, which is as many as it may have.", key.ARN, count)
	}
	var id [32]byte
	rand.Read(id[:])
	g.ID = hex.EncodeToString(id[:])
	return g, k.insertGrant(tx, now, g)
}

func distinct(operations []string) []string {
	all := slices.Clone(operations)
	slices.Sort(all)
	return slices.Compact(all)
}

func (k *Keys) insertGrant(tx *store.Tx, key Key, g Grant) error {
	operations, err := json.Marshal(g.Operations)
	if err != nil {
		return err
	}
	constraints, err := json.Marshal(g.Constraints)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO kms_grant (key, id, account, region, name, grantee, retiring, issuer, operations, constraints, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, g.KeyID, g.ID, key.Account, key.Region, g.Name, g.Grantee, g.Retiring, g.Issuer,
		string(operations), string(constraints), g.Created)
	if err != nil {
		return fmt.Errorf("make a grant for key %s: %w", key.ID, err)
	}
	return tx.Touch(topicGrants + g.KeyID)
}

// twin finds the grant with a grant's name that is alike in all else.
func (k *Keys) twin(tx *store.Tx, g Grant) (Grant, bool, error) {
	if g.Name == "" {
		return Grant{}, false, nil
	}
	rows, err := tx.Query(`SELECT `+grantColumns+` FROM kms_grant WHERE key = $1 AND name = $2 AND name <> ''`, g.KeyID, g.Name)
	if err != nil {
		return Grant{}, false, fmt.Errorf("look for grants of a name: %w", err)
	}
	named, err := store.Collect(rows, scanGrant(g.KeyARN))
	for _, other := range named {
		if other.Grantee == g.Grantee && other.Retiring == g.Retiring && slices.Equal(other.Operations, g.Operations) &&
			maps.Equal(other.Constraints.Subset, g.Constraints.Subset) && maps.Equal(other.Constraints.Equals, g.Constraints.Equals) {
			return other, true, err
		}
	}
	return Grant{}, false, err
}

// principal reads who is granted something, and returns the unique id in place of the ARN of a user or role, so that one who
// is made anew under an old name has no part in the grant. The error is *Error.
func (k *Keys) principal(tx *store.Tx, text string, internal bool) (string, error) {
	if internal && strings.HasSuffix(text, ".amazonaws.com") {
		return text, nil
	}
	invalid := Errorf(CodeInvalidArn, "ARN does not refer to a valid principal: %s", text)
	if a, err := arn.Parse(text); err != nil || a.Account == "" {
		return "", invalid
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		return "", err
	}
	var failure error
	id, byARN := text, k.resolve(tx, &failure)
	// What may stand in a policy as a principal may be granted something.
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":` + string(quoted) + `},"Action":"kms:Decrypt","Resource":"*"}}`
	_, err = policy.Parse(policy.KindKey, []byte(document), policy.Options{Resolve: func(principal string) (string, bool) {
		found, ok := byARN(principal)
		if ok {
			id = found
		}
		return found, ok
	}})
	if failure != nil {
		return "", fmt.Errorf("look up the principal of a grant: %w", failure)
	}
	if err != nil {
		return "", invalid
	}
	return id, nil
}

// ShownPrincipal is how a principal of a grant is shown: the ARN of a user or role while there is one, and else the id.
func (k *Keys) ShownPrincipal(tx *store.Tx, principal string) (string, error) {
	var failure error
	name, ok := k.principalName(tx, &failure)(principal)
	if failure != nil {
		return "", fmt.Errorf("show the principal of a grant: %w", failure)
	}
	if ok {
		return name, nil
	}
	return principal, nil
}

const grantColumns = `key, id, name, grantee, retiring, issuer, operations, constraints, created_at`

func scanGrant(keyARN string) func(store.Scanner) (Grant, error) {
	return func(row store.Scanner) (g Grant, err error) {
		var operations, constraints string
		if err := row.Scan(&g.KeyID, &g.ID, &g.Name, &g.Grantee, &g.Retiring, &g.Issuer, &operations, &constraints, &g.Created); err != nil {
			return Grant{}, err
		}
		g.KeyARN = keyARN
		return g, errors.Join(json.Unmarshal([]byte(operations), &g.Operations), json.Unmarshal([]byte(constraints), &g.Constraints))
	}
}

// Grant reads a grant of a key. The error is *Error if there is none.
func (k *Keys) Grant(tx *store.Tx, key Key, id string) (Grant, error) {
	g, err := scanGrant(key.ARN)(tx.QueryRow(`SELECT `+grantColumns+` FROM kms_grant WHERE key = $1 AND id = $2`, key.ID, id))
	if errors.Is(err, store.ErrNoRows) {
		return Grant{}, Errorf(CodeNotFound, "Grant ID %s not found", id)
	}
	if err != nil {
		return Grant{}, fmt.Errorf("read a grant of key %s: %w", key.ID, err)
	}
	return g, nil
}

// RevokeGrant takes a grant back. The error is *Error.
func (k *Keys) RevokeGrant(tx *store.Tx, key Key, id string) error {
	return k.endGrant(tx, key, id, RevokeGrant)
}

// RetireGrant ends a grant on behalf of those whom it served. The error is *Error.
func (k *Keys) RetireGrant(tx *store.Tx, key Key, id string) error {
	return k.endGrant(tx, key, id, RetireGrant)
}

func (k *Keys) endGrant(tx *store.Tx, key Key, id string, op Operation) error {
	if _, err := k.allowed(tx, key, op); err != nil {
		return err
	}
	n, err := tx.Exec(`DELETE FROM kms_grant WHERE key = $1 AND id = $2`, key.ID, id)
	if err != nil {
		return fmt.Errorf("end a grant of key %s: %w", key.ID, err)
	}
	if n == 0 {
		return Errorf(CodeNotFound, "Grant ID %s not found", id)
	}
	return tx.Touch(topicGrants + key.ID)
}

// ListGrants returns grants of a key in the order of their ids after one of them, and at most limit: all, or those of a
// grantee, which is as it is stored.
func (k *Keys) ListGrants(tx *store.Tx, key Key, grantee, after string, limit int) ([]Grant, error) {
	query, args := `SELECT `+grantColumns+` FROM kms_grant WHERE key = $1 AND id > $2 ORDER BY id LIMIT $3`, []any{key.ID, after, limit}
	if grantee != "" {
		query, args = `SELECT `+grantColumns+` FROM kms_grant WHERE key = $1 AND id > $2 AND grantee = $4 ORDER BY id LIMIT $3`, append(args, grantee)
	}
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, fmt.Errorf("list the grants of key %s: %w", key.ID, err)
	}
	return store.Collect(rows, scanGrant(key.ARN))
}

// RetirableGrants returns the grants for keys of an account and region that a principal may retire, which is as it is stored,
// in the order of keys and ids after one of them, and at most limit.
func (k *Keys) RetirableGrants(tx *store.Tx, account, region, retiring, afterKey, afterID string, limit int) ([]Grant, error) {
	rows, err := tx.Query(`SELECT `+grantColumns+` FROM kms_grant WHERE retiring = $1 AND retiring <> '' AND account = $2 AND region = $3
		AND (key, id) > ($4, $5) ORDER BY key, id LIMIT $6`, retiring, account, region, afterKey, afterID, limit)
	if err != nil {
		return nil, fmt.Errorf("list the grants that %s may retire: %w", retiring, err)
	}
	return store.Collect(rows, func(row store.Scanner) (Grant, error) {
		g, err := scanGrant("")(row)
		g.KeyARN = KeyARN(account, region, g.KeyID)
		return g, err
	})
}

// StoredPrincipal is how a principal is stored in grants: the unique id in place of the ARN of a user or role who exists.
func (k *Keys) StoredPrincipal(tx *store.Tx, principal string) (string, error) {
	var failure error
	id, ok := k.resolve(tx, &failure)(principal)
	if failure != nil {
		return "", fmt.Errorf("look up a principal: %w", failure)
	}
	if ok {
		return id, nil
	}
	return principal, nil
}

// grantSet are the grants of a key.
type grantSet struct {
	list []Grant
	byID map[string]Grant
	all  []policy.Grant
	// byOperation holds them by what they allow, in lower case.
	byOperation map[string][]policy.Grant
}

// Grants returns the grants of a key, from memory if it can. The error is *Error if the ARN is none of a key.
func (k *Keys) Grants(ctx context.Context, keyARN string) ([]Grant, error) {
	id, err := idOf(keyARN)
	if err != nil {
		return nil, err
	}
	set, err := k.granted(ctx, id)
	if err != nil {
		return nil, err
	}
	return set.list, nil
}

// GrantOf returns a grant of a key by its id, from memory if it can. The error is *Error if there is none.
func (k *Keys) GrantOf(ctx context.Context, keyARN, grantID string) (Grant, error) {
	id, err := idOf(keyARN)
	if err != nil {
		return Grant{}, err
	}
	set, err := k.granted(ctx, id)
	if err != nil {
		return Grant{}, err
	}
	g, ok := set.byID[grantID]
	if !ok {
		return Grant{}, Errorf(CodeNotFound, "Grant ID %s not found", grantID)
	}
	return g, nil
}

func idOf(keyARN string) (string, error) {
	a, err := arn.Parse(keyARN)
	id, ok := strings.CutPrefix(a.Resource, "key/")
	if err != nil || !ok {
		return "", Errorf(CodeInvalidArn, "Invalid arn %s", keyARN)
	}
	return id, nil
}

// granted finds the grants of a key, from memory if it can.
func (k *Keys) granted(ctx context.Context, id string) (*grantSet, error) {
	return k.grants.Get(id, func() (set *grantSet, bytes int, err error) {
		err = k.View(ctx, func(tx *store.Tx) error {
			set, bytes, err = k.loadGrants(tx, id)
			return err
		})
		return set, bytes, err
	})
}

func (k *Keys) loadGrants(tx *store.Tx, id string) (*grantSet, int, error) {
	set := &grantSet{byID: map[string]Grant{}, byOperation: map[string][]policy.Grant{}}
	key, err := k.Key(tx, id)
	if isNotFound(err) {
		return set, 64, nil
	}
	if err != nil {
		return nil, 0, err
	}
	if set.list, err = k.ListGrants(tx, key, "", "", MaxGrants); err != nil {
		return nil, 0, err
	}
	for _, g := range set.list {
		set.byID[g.ID] = g
		granted := g.Policy()
		set.all = append(set.all, granted)
		for _, op := range g.Operations {
			set.byOperation[strings.ToLower(op)] = append(set.byOperation[strings.ToLower(op)], granted)
		}
	}
	return set, 64 + 1536*len(set.list), nil
}

// Policy is the grant as policies see it.
func (g Grant) Policy() policy.Grant {
	return policy.Grant{ID: g.ID, Grantee: g.Grantee, Operations: g.Operations, EncryptionContextSubset: emptyIsNil(g.Constraints.Subset),
		EncryptionContextEquals: emptyIsNil(g.Constraints.Equals)}
}

func emptyIsNil(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}

// Delegated are the grants of a key that let their grantees make a new one: it must allow no operation that they don't, and
// demand at least as much of the encryption context.
func (k *Keys) Delegated(ctx context.Context, key Key, n NewGrant) (all []policy.Grant, err error) {
	set, err := k.granted(ctx, key.ID)
	if err != nil {
		return nil, err
	}
	for _, g := range set.list {
		if slices.Contains(g.Operations, string(CreateGrant)) && g.covers(n) {
			all = append(all, policy.Grant{ID: g.ID, Grantee: g.Grantee, Operations: []string{string(CreateGrant)}})
		}
	}
	return all, nil
}

// covers reports whether a new grant stays within a grant.
func (g Grant) covers(n NewGrant) bool {
	if slices.ContainsFunc(n.Operations, func(op string) bool { return !slices.Contains(g.Operations, op) }) {
		return false
	}
	if len(g.Constraints.Equals) > 0 {
		return maps.Equal(g.Constraints.Equals, n.Constraints.Equals)
	}
	demanded := n.Constraints.Subset
	if len(demanded) == 0 {
		demanded = n.Constraints.Equals
	}
	for name, value := range g.Constraints.Subset {
		if got, ok := demanded[name]; !ok || got != value {
			return false
		}
	}
	return true
}

// RetiredBy are the grants to retire a grant: those of the principals who may, by name.
func (g Grant) RetiredBy() []policy.Grant {
	var all []policy.Grant
	if g.Retiring != "" {
		all = append(all, policy.Grant{ID: g.ID, Grantee: g.Retiring, Operations: []string{string(RetireGrant)}})
	}
	if slices.Contains(g.Operations, string(RetireGrant)) {
		all = append(all, policy.Grant{ID: g.ID, Grantee: g.Grantee, Operations: []string{string(RetireGrant)}})
	}
	return all
}

// tokenContext binds sealed texts to being grant tokens.
var tokenContext = Context{"coffer:kms": "grant token"}

// GrantToken makes a token that stands for a grant of a key. Each is another.
func (k *Keys) GrantToken(key Key, id string) (string, error) {
	sealed, err := k.keyring.Seal(keyScope(key.Account, key.Region), []byte(key.ID+"/"+id), tokenContext)
	return base64.StdEncoding.EncodeToString(sealed), err
}

// ReadGrantToken returns the ids of the key and the grant that a token stands for, which need not exist any more. The error
// is *Error.
func (k *Keys) ReadGrantToken(token string) (keyID, grantID string, err error) {
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return "", "", &Error{Code: CodeInvalidGrantToken}
	}
	text, err := k.keyring.Open(sealed, tokenContext)
	if err != nil {
		return "", "", &Error{Code: CodeInvalidGrantToken}
	}
	keyID, grantID, _ = strings.Cut(string(text), "/")
	return keyID, grantID, nil
}
