// Package iam keeps who there is and what they may do: the accounts, and in each its users, groups, roles, policies, access
// keys, MFA devices and identity providers, with the rules and quotas of AWS IAM.
//
// Changes take the transaction they are part of, and every one of them touches the account's topic, so that what is kept
// in memory about the account, here and in other processes, is forgotten. Standing is what the gate asks for: an entity
// with its compiled policies as of the last change. The package knows no protocol, authenticates nobody and authorises
// nothing; its errors carry IAM's codes and sentences, since those are part of IAM's rules.
package iam

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what a Store works with.
type Config struct {
	DB *store.DB
	// Secrets seals secret access keys and the seeds of MFA devices.
	Secrets seal.Key
	// PasswordRounds is how often passwords are hashed; 0 is as often as is safe.
	PasswordRounds int
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Store keeps identities. It is safe for concurrent use.
type Store struct {
	db      *store.DB
	secrets seal.Key
	now     func() time.Time
	cache   cache
	usage   *Usage
	guesses guesses
	hashing *hashing
}

// New returns the store of c.
func New(c Config) *Store {
	s := &Store{db: c.DB, secrets: c.Secrets, now: c.Now}
	if s.now == nil {
		s.now = time.Now
	}
	s.usage, s.hashing = &Usage{db: s.db, now: s.now}, newHashing(c.PasswordRounds)
	c.DB.Subscribe(s.cache.forget)
	return s
}

// Usage is where it is noted who uses what.
func (s *Store) Usage() *Usage { return s.usage }

// View runs fn on one snapshot of the identities.
func (s *Store) View(ctx context.Context, fn func(*store.Tx) error) error { return s.db.View(ctx, fn) }

// topicPrefix begins the topics of accounts.
const topicPrefix = "iam/"

// changed notes in the transaction that something of an account changes.
func (s *Store) changed(tx *store.Tx, account string) error { return tx.Touch(topicPrefix + account) }

// Code is an error code of IAM, such as "NoSuchEntity".
type Code string

// The codes.
const (
	NoSuchEntity                  Code = "NoSuchEntity"
	EntityAlreadyExists           Code = "EntityAlreadyExists"
	DeleteConflict                Code = "DeleteConflict"
	LimitExceeded                 Code = "LimitExceeded"
	InvalidInput                  Code = "InvalidInput"
	ValidationError               Code = "ValidationError"
	MalformedPolicyDocument       Code = "MalformedPolicyDocument"
	PasswordPolicyViolation       Code = "PasswordPolicyViolation"
	UnmodifiableEntity            Code = "UnmodifiableEntity"
	PolicyNotAttachable           Code = "PolicyNotAttachable"
	InvalidUserType               Code = "InvalidUserType"
	InvalidAuthenticationCode     Code = "InvalidAuthenticationCode"
	AccessDenied                  Code = "AccessDenied"
	ReportNotPresent              Code = "ReportNotPresent"
	ReportExpired                 Code = "ReportExpired"
	EntityTemporarilyUnmodifiable Code = "EntityTemporarilyUnmodifiable"
)

// Error is the refusal of something that breaks a rule of IAM.
type Error struct {
	Code Code
	// Message is IAM's sentence.
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// Kind is a kind of entity, as ARNs name it.
type Kind string

// The kinds.
const (
	KindUser   Kind = "user"
	KindGroup  Kind = "group"
	KindRole   Kind = "role"
	KindPolicy Kind = "policy"
)

// ids are how the unique ids of each kind begin.
var ids = map[Kind]string{KindUser: "AIDA", KindGroup: "AGPA", KindRole: "AROA", KindPolicy: "ANPA"}

// newID makes a unique id, in the form that AWS's have: the prefix of the kind and 17 characters of base32.
func newID(k Kind) string { return ids[k] + rand.Text()[:17] }

// ARN is the Amazon resource name of an entity. The path begins and ends with a slash.
func (k Kind) ARN(account, path, name string) string {
	return "arn:aws:iam::" + account + ":" + string(k) + path + name
}

// nameKey is what a name is compared by: names are unique without regard to case.
func nameKey(name string) string { return strings.ToLower(name) }

// rootPath is the path of entities that have none.
const rootPath = "/"

// OrRoot is the path of an entity that was given this one; none is the root path.
func OrRoot(path string) string {
	if path == "" {
		return rootPath
	}
	return path
}
