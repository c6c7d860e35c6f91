// Package organization keeps the organization that the accounts belong to: its tree of units, and the service and
// resource control policies on each level, which limit what principals of an account and what access to its resources can
// be allowed at all.
//
// There is one organization, and every account belongs to it. Changes take the transaction they are part of, and those of
// what an account stands under touch the organization's topic, so that what is kept in memory, here and in other processes,
// is forgotten. The package evaluates nothing itself: Standing is what the gate puts before the policies. Accounts themselves are the
// business of package iam: what happens here to one is only where it hangs and what is attached to it. Errors carry the
// codes and sentences of AWS Organizations, since those are part of its rules.
package organization

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Config is what a Store works with.
type Config struct {
	DB *store.DB
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Store keeps the organization. It is safe for concurrent use.
type Store struct {
	db    *store.DB
	now   func() time.Time
	cache cache
}

// New returns the store of c.
func New(c Config) *Store {
	s := &Store{db: c.DB, now: c.Now}
	if s.now == nil {
		s.now = time.Now
	}
	c.DB.Subscribe(s.cache.forget)
	return s
}

// View runs fn on one snapshot of the organization.
func (s *Store) View(ctx context.Context, fn func(*store.Tx) error) error { return s.db.View(ctx, fn) }

// topic is that of all changes to the organization.
const topic = "organization"

// changed notes in the transaction that something of the organization changes.
func (s *Store) changed(tx *store.Tx) error { return tx.Touch(topic) }

// Info says which organization it is. It never changes.
type Info struct {
	// ID is the organization's, such as o-exampleorgid, and Root that of its root, such as r-ab12.
	ID, Root string
	// Management is the account that manages it.
	Management string
}

const notInUse = "Your account is not a member of an organization."

// Info reads which organization it is. The error is of code AWSOrganizationsNotInUseException before Ensure made it.
func (s *Store) Info(tx *store.Tx) (Info, error) {
	var i Info
	err := tx.QueryRow(`SELECT id, root, management FROM organization`).Scan(&i.ID, &i.Root, &i.Management)
	if errors.Is(err, store.ErrNoRows) {
		return Info{}, Errorf(NotInUse, notInUse)
	}
	return i, err
}

// arn is the Amazon resource name of something of the organization, which belongs to the management account.
func (i Info) arn(kind, rest string) string {
	return "arn:aws:organizations::" + i.Management + ":" + kind + "/" + i.ID + rest
}

// ARN is the Amazon resource name of the organization itself.
func (i Info) ARN() string { return i.arn("organization", "") }

// ARNOf is the Amazon resource name of the root, a unit or an account, which its id tells apart.
func (i Info) ARNOf(id string) string { return i.arn(arnKinds[KindOf(id)], "/"+id) }

// ARNOfPolicy is the Amazon resource name of a policy.
func (i Info) ARNOfPolicy(p Policy) string {
	kind := "/" + strings.ToLower(string(p.Type)) + "/" + p.ID
	if p.Managed {
		return "arn:aws:organizations::aws:policy" + kind
	}
	return i.arn("policy", kind)
}

// Kind is what a place in the organization is, as the API calls it.
type Kind string

// The kinds.
const (
	KindRoot    Kind = "ROOT"
	KindUnit    Kind = "ORGANIZATIONAL_UNIT"
	KindAccount Kind = "ACCOUNT"
)

var arnKinds = map[Kind]string{KindRoot: "root", KindUnit: "ou", KindAccount: "account"}

// KindOf is the kind of what has this id.
func KindOf(id string) Kind {
	switch {
	case strings.HasPrefix(id, "r-"):
		return KindRoot
	case strings.HasPrefix(id, "ou-"):
		return KindUnit
	}
	return KindAccount
}

// newID makes a random id of so many characters behind a prefix, in the form that AWS's have.
func newID(prefix string, n int) string { return prefix + strings.ToLower(rand.Text()[:n]) }

// Code is an error code of Organizations.
type Code string

// The codes.
const (
	AccessDenied                Code = "AccessDeniedException"
	AccountAlreadyClosed        Code = "AccountAlreadyClosedException"
	AccountNotFound             Code = "AccountNotFoundException"
	ChildNotFound               Code = "ChildNotFoundException"
	ConstraintViolation         Code = "ConstraintViolationException"
	CreateAccountStatusNotFound Code = "CreateAccountStatusNotFoundException"
	DestinationParentNotFound   Code = "DestinationParentNotFoundException"
	DuplicateAccount            Code = "DuplicateAccountException"
	DuplicatePolicy             Code = "DuplicatePolicyException"
	DuplicatePolicyAttachment   Code = "DuplicatePolicyAttachmentException"
	DuplicateUnit               Code = "DuplicateOrganizationalUnitException"
	InvalidInput                Code = "InvalidInputException"
	MalformedPolicyDocument     Code = "MalformedPolicyDocumentException"
	NotInUse                    Code = "AWSOrganizationsNotInUseException"
	ParentNotFound              Code = "ParentNotFoundException"
	PolicyInUse                 Code = "PolicyInUseException"
	PolicyNotAttached           Code = "PolicyNotAttachedException"
	PolicyNotFound              Code = "PolicyNotFoundException"
	PolicyTypeAlreadyEnabled    Code = "PolicyTypeAlreadyEnabledException"
	PolicyTypeNotAvailable      Code = "PolicyTypeNotAvailableForOrganizationException"
	PolicyTypeNotEnabled        Code = "PolicyTypeNotEnabledException"
	RootNotFound                Code = "RootNotFoundException"
	SourceParentNotFound        Code = "SourceParentNotFoundException"
	TargetNotFound              Code = "TargetNotFoundException"
	UnitNotEmpty                Code = "OrganizationalUnitNotEmptyException"
	UnitNotFound                Code = "OrganizationalUnitNotFoundException"
)

// Error is the refusal of something that breaks a rule of Organizations.
type Error struct {
	Code Code
	// Reason says more of some codes, such as OU_DEPTH_LIMIT_EXCEEDED.
	Reason  string
	Message string
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// violated makes the error of a limit.
func violated(reason, message string) *Error {
	return &Error{ConstraintViolation, reason, message}
}
