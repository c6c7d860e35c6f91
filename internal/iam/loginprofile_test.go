package iam

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/secret"
	"github.com/coffer-registry/coffer/internal/store"
)

// withUser is a store whose hashes are quick, with a user.
func withUser(t *testing.T) (*Store, User) { return withUserIn(t, t.TempDir()) }

func withUserIn(t *testing.T, dir string) (*Store, User) {
	t.Helper()
	s := New(Config{DB: openDBIn(t, dir), Secrets: seal.NewKey()})
	s.hashing.rounds = 2
	put(t, s, account, exampleID, exampleSecret)
	var ann User
	s.mustUpdate(t, func(tx *store.Tx) (err error) { ann, err = s.CreateUser(tx, account, "", "ann"); return err })
	return s, ann
}

// setPassword sets a password as the service does.
func (s *Store) setPassword(t *testing.T, u User, first bool, password string) error {
	t.Helper()
	p, err := s.PreparePassword(t.Context(), u, first, secret.New(password))
	if err != nil {
		return err
	}
	return s.db.Update(t.Context(), func(tx *store.Tx) error { _, err := s.SavePassword(tx, p, false); return err })
}

func (s *Store) mustPutPolicy(t *testing.T, p PasswordPolicy) {
	t.Helper()
	s.mustUpdate(t, func(tx *store.Tx) error { return s.PutPasswordPolicy(tx, account, p) })
}

func wantRefusal(t *testing.T, what string, err error, want *Error) {
	t.Helper()
	var got *Error
	if want == nil && err != nil || want != nil && (!errors.As(err, &got) || *got != *want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func TestPasswordsConform(t *testing.T) {
	s, ann := withUser(t)
	exec(t, s.db, `UPDATE account SET name = 'my-company-1', email = 'root@example.com1' WHERE id = $1`, account)
	for _, test := range []struct {
		password string
		policy   *PasswordPolicy
		ok       bool
	}{
		{"Passw0rd", nil, true},
		{"passw0r!", nil, true},
		{"Passw0r", nil, false},   // seven characters
		{"password1", nil, false}, // two classes
		{"pässwörd1", nil, false}, // letters that are of no class
		{"My-Company-1", nil, false},
		{"Root@Example.com1", nil, false},
		{"simple", &PasswordPolicy{MinimumLength: 6}, true},
		{"simpl", &PasswordPolicy{MinimumLength: 6}, false},
		{"ääääää", &PasswordPolicy{MinimumLength: 6}, true},
		{"aB3$", &PasswordPolicy{RequireSymbols: true, RequireNumbers: true, RequireUppercase: true, RequireLowercase: true}, true},
		{"aB3~", &PasswordPolicy{RequireSymbols: true}, false},
		{"aB$", &PasswordPolicy{RequireNumbers: true}, false},
		{"a3$", &PasswordPolicy{RequireUppercase: true}, false},
		{"B3$", &PasswordPolicy{RequireLowercase: true}, false},
	} {
		t.Run(fmt.Sprintf("%s %+v", test.password, test.policy), func(t *testing.T) {
			exec(t, s.db, `UPDATE iam_user SET password = NULL`)
			exec(t, s.db, `UPDATE account SET password_policy = NULL`)
			if test.policy != nil {
				s.mustPutPolicy(t, *test.policy)
			}
			err := s.setPassword(t, ann, true, test.password)
			if test.ok {
				wantRefusal(t, "it", err, nil)
			} else {
				wantRefusal(t, "it", err, &Error{PasswordPolicyViolation, "Password does not conform to the account password policy."})
			}
		})
	}
}

func TestPasswordsAreNotReused(t *testing.T) {
	s, ann := withUser(t)
	violation := &Error{PasswordPolicyViolation, "Password does not conform to the account password policy."}
	s.mustPutPolicy(t, PasswordPolicy{MinimumLength: 6})
	wantRefusal(t, "the first", s.setPassword(t, ann, true, "secret-0"), nil)
	for i := range 30 {
		wantRefusal(t, "another", s.setPassword(t, ann, false, fmt.Sprintf("secret-%d", i+1)), nil)
	}
	wantRefusal(t, "the same, which no policy forbids", s.setPassword(t, ann, false, "secret-30"), nil)
	s.mustPutPolicy(t, PasswordPolicy{MinimumLength: 6, ReusePrevention: 1})
	wantRefusal(t, "that of the moment", s.setPassword(t, ann, false, "secret-30"), violation)
	s.mustPutPolicy(t, PasswordPolicy{MinimumLength: 6, ReusePrevention: 24})
	// The last 24 are number 30, which was set twice, and 29 to 8.
	wantRefusal(t, "one of 24", s.setPassword(t, ann, false, "secret-8"), violation)
	wantRefusal(t, "an older one", s.setPassword(t, ann, false, "secret-7"), nil)
	var kept string
	s.mustView(t, func(tx *store.Tx) error {
		return tx.QueryRow(`SELECT password_history FROM iam_user WHERE id = $1`, ann.ID).Scan(&kept)
	})
	if n := strings.Count(kept, "pbkdf2"); n != keptPasswords {
		t.Errorf("%d earlier passwords are kept", n)
	}
	s.mustUpdate(t, func(tx *store.Tx) error { return s.DeleteLoginProfile(tx, ann) })
	wantRefusal(t, "an old one after a new beginning", s.setPassword(t, ann, true, "secret-8"), nil)
}

func TestLoginProfile(t *testing.T) {
	s, ann := withUser(t)
	none := &Error{NoSuchEntity, "Login Profile for User ann cannot be found."}
	inTx := func(fn func(*store.Tx) error) error { return s.db.Update(t.Context(), fn) }
	wantRefusal(t, "find none", s.View(t.Context(), func(tx *store.Tx) error { _, err := s.LoginProfile(tx, ann); return err }), none)
	wantRefusal(t, "delete none", inTx(func(tx *store.Tx) error { return s.DeleteLoginProfile(tx, ann) }), none)
	wantRefusal(t, "reset none", inTx(func(tx *store.Tx) error { return s.RequireReset(tx, ann, true) }), none)
	wantRefusal(t, "change none", s.setPassword(t, ann, false, "Passw0rd"), none)
	wantRefusal(t, "know none", s.CheckOwnPassword(t.Context(), ann, secret.New("Passw0rd")), none)
	wantRefusal(t, "create", s.setPassword(t, ann, true, "Passw0rd"), nil)
	wantRefusal(t, "create again", s.setPassword(t, ann, true, "Passw0rd"), &Error{EntityAlreadyExists, "Login Profile for user ann already exists."})
	var before, after LoginProfile
	s.mustView(t, func(tx *store.Tx) (err error) { before, err = s.LoginProfile(tx, ann); return err })
	wantRefusal(t, "reset", inTx(func(tx *store.Tx) error { return s.RequireReset(tx, ann, true) }), nil)
	s.mustView(t, func(tx *store.Tx) (err error) { after, err = s.LoginProfile(tx, ann); return err })
	if before.ResetRequired || !after.ResetRequired || before.CreatedAt.IsZero() || !after.CreatedAt.Equal(before.CreatedAt) {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// Of two who change a password at once, one is told to try again.
func TestPasswordChangesMeetNobody(t *testing.T) {
	s, ann := withUser(t)
	prepare := func(first bool, password string) NewPassword {
		t.Helper()
		p, err := s.PreparePassword(t.Context(), ann, first, secret.New(password))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	save := func(p NewPassword) error {
		return s.db.Update(t.Context(), func(tx *store.Tx) error { _, err := s.SavePassword(tx, p, false); return err })
	}
	again := &Error{EntityTemporarilyUnmodifiable, "The password of user ann is being changed by another request. Please try again."}
	one, other := prepare(true, "Passw0rd"), prepare(true, "0ther-Password")
	wantRefusal(t, "the first", save(one), nil)
	wantRefusal(t, "a second first", save(other), again)
	one, other = prepare(false, "Passw0rd-2"), prepare(false, "Passw0rd-3")
	wantRefusal(t, "a change", save(one), nil)
	wantRefusal(t, "another", save(other), again)
	if err := s.CheckOwnPassword(t.Context(), ann, secret.New("Passw0rd-2")); err != nil {
		t.Errorf("the one that was saved: %v", err)
	}
	one = prepare(false, "Passw0rd-4")
	s.mustUpdate(t, func(tx *store.Tx) error { return s.DeleteLoginProfile(tx, ann) })
	wantRefusal(t, "a change of what is gone", save(one), again)
}

func TestOwnPasswordIsNotGuessed(t *testing.T) {
	s, ann := withUser(t)
	wantRefusal(t, "create", s.setPassword(t, ann, true, "Passw0rd"), nil)
	check := func(password string) error { return s.CheckOwnPassword(t.Context(), ann, secret.New(password)) }
	for range 2 * guessesAtOnce {
		wantRefusal(t, "right", check("Passw0rd"), nil)
	}
	for range guessesAtOnce {
		wantRefusal(t, "wrong", check("passw0rd"), &Error{AccessDenied, "The old password is incorrect."})
	}
	wantRefusal(t, "right after too many guesses", check("Passw0rd"), &Error{AccessDenied, "The old password is incorrect."})
	exec(t, s.db, `UPDATE iam_user SET password = $1`, []byte("rot13$x"))
	if err := New(Config{DB: s.db, Secrets: s.secrets}).CheckOwnPassword(t.Context(), ann, secret.New("Passw0rd")); err == nil || errors.As(err, new(*Error)) {
		t.Errorf("a hash that can't be read: %v", err)
	}
}

func TestHashing(t *testing.T) {
	h := newHashing(0)
	if h.rounds < 600_000 {
		t.Errorf("%d rounds", h.rounds)
	}
	h.rounds = 2
	one, err := h.hash(t.Context(), secret.New("Passw0rd"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := h.hash(t.Context(), secret.New("Passw0rd"))
	if err != nil || one == other || !strings.HasPrefix(one, "pbkdf2-sha256$2$") || strings.Contains(one, "Passw0rd") {
		t.Errorf("%s and %s, error %v", one, other, err)
	}
	h.rounds = 3 // hashes keep the rounds with which they were made
	for password, want := range map[string]bool{"Passw0rd": true, "Passw0rd ": false, "": false} {
		if got, err := h.matches(t.Context(), one, secret.New(password)); got != want || err != nil {
			t.Errorf("%q: %v, error %v", password, got, err)
		}
	}
	for _, broken := range []string{"", "pbkdf2-sha256$2$AAAA", "md5$2$AAAA$AAAA", "pbkdf2-sha256$x$AAAA$AAAA", "pbkdf2-sha256$2$?$AAAA", "pbkdf2-sha256$2$AAAA$?"} {
		if got, err := h.matches(t.Context(), broken, secret.New("")); got || err == nil {
			t.Errorf("the hash %q: %v, error %v", broken, got, err)
		}
	}
}

// Who waits for the processor gives up when the client does.
func TestHashingWaits(t *testing.T) {
	h := newHashing(0)
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.hash(ctx, secret.New("Passw0rd")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestPasswordPolicyIsKept(t *testing.T) {
	s, _ := withUser(t)
	none := &Error{NoSuchEntity, "The Password Policy with domain name 123456789012 cannot be found."}
	find := func() (p PasswordPolicy, err error) {
		err = s.View(t.Context(), func(tx *store.Tx) (err error) { p, err = s.PasswordPolicy(tx, account); return err })
		return p, err
	}
	remove := func() error {
		return s.db.Update(t.Context(), func(tx *store.Tx) error { return s.DeletePasswordPolicy(tx, account) })
	}
	_, err := find()
	wantRefusal(t, "find none", err, none)
	wantRefusal(t, "delete none", remove(), none)
	want := PasswordPolicy{MinimumLength: 14, RequireSymbols: true, MaxPasswordAge: 90, ReusePrevention: 5, HardExpiry: true}
	s.mustPutPolicy(t, want)
	if got, err := find(); got != want || err != nil {
		t.Errorf("%+v, error %v", got, err)
	}
	wantRefusal(t, "delete", remove(), nil)
	_, err = find()
	wantRefusal(t, "find what is gone", err, none)
}
