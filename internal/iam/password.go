package iam

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
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

// matches reports whether a hash is that of a password.
func (h *hashing) matches(ctx context.Context, hash string, password secret.Text) (bool, error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 4 || parts[0] != hashAlgorithm {
		return false, fmt.Errorf("a password hash of an unknown form")
	}
	rounds, err := strconv.Atoi(parts[1])
	if err != nil {
		return false, fmt.Errorf("the rounds of a password hash: %w", err)
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return false, fmt.Errorf("the salt of a password hash: %w", err)
	}
	want, err := base64.StdEncoding.DecodeString(parts[3])
	if err != nil {
		return false, fmt.Errorf("a password hash: %w", err)
	}
	key, err := h.key(ctx, password, salt, rounds)
	return err == nil && subtle.ConstantTimeCompare(key, want) == 1, err
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
