package iam

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/secret"
)

// passwordRounds is how often a password is hashed, so that guessing from stolen hashes is slow: about an eighth of a second
// for each guess.
const passwordRounds = 600_000

// hashing hashes passwords with PBKDF2-HMAC-SHA-256, which FIPS 140 approves, only so many at once: others wait, so that the
// passwords of some don't take the processor from the requests of all.
type hashing struct {
	rounds int
	slots  chan struct{}
}

func newHashing(rounds int) *hashing {
	if rounds == 0 {
		rounds = passwordRounds
	}
	return &hashing{rounds: rounds, slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// The form of a hash: the algorithm, the rounds, the salt and the key, the last two in base64.
const (
	hashAlgorithm = "pbkdf2-sha256"
	saltSize      = 16
)

// hash makes the hash of a password, with a salt of its own.
func (h *hashing) hash(ctx context.Context, password secret.Text) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	key, err := h.key(ctx, password, salt, h.rounds)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s$%d$%s$%s", hashAlgorithm, h.rounds, base64.StdEncoding.EncodeToString(salt), base64.StdEncoding.EncodeToString(key)), nil
}

// parsedHash is a hash taken apart.
type parsedHash struct {
	rounds    int
	salt, key []byte
}

// parseHash takes a hash apart. The error tells nothing of it.
func parseHash(hash string) (p parsedHash, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || parts[0] != hashAlgorithm {
		return p, errors.New("a password hash of an unknown form")
	}
	if p.rounds, err = strconv.Atoi(parts[1]); err != nil || p.rounds < 1 {
		return p, errors.New("the rounds of a password hash are no number")
	}
	if p.salt, err = base64.StdEncoding.DecodeString(parts[2]); err != nil {
		return p, fmt.Errorf("the salt of a password hash: %w", err)
	}
	if p.key, err = base64.StdEncoding.DecodeString(parts[3]); err != nil {
		return p, fmt.Errorf("a password hash: %w", err)
	}
	if len(p.key) != sha256.Size {
		return p, fmt.Errorf("a password hash of %d bytes", len(p.key))
	}
	return p, nil
}

// matches reports whether a hash is that of a password.
func (h *hashing) matches(ctx context.Context, hash string, password secret.Text) (bool, error) {
	p, err := parseHash(hash)
	if err != nil {
		return false, err
	}
	key, err := h.key(ctx, password, p.salt, p.rounds)
	return err == nil && subtle.ConstantTimeCompare(key, p.key) == 1, err
}

func (h *hashing) key(ctx context.Context, password secret.Text, salt []byte, rounds int) ([]byte, error) {
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	return pbkdf2.Key(sha256.New, password.Reveal(), salt, rounds, sha256.Size)
}
