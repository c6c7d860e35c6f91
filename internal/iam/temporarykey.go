package iam

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/internal/secret"
)

// temporaryPrefix begins the ids of temporary access keys.
const temporaryPrefix = "ASIA"

// Bits of the first eight of the ten bytes that stand in an access key's id: the account is in the middle, as in the ids
// that AWS has made since 2019, of which the first bit is set.
const (
	accountShift = 7 + 16
	accountMask  = 1<<40 - 1
	newForm      = 1 << 63
)

// NewTemporaryKey makes the id and the secret of a session's credentials, in the form that AWS's have. The id tells the
// account, since it is kept nowhere.
func NewTemporaryKey(account string) (id string, text secret.Text) {
	_, text = newKey(temporaryPrefix)
	var raw [10]byte
	rand.Read(raw[:])
	// An account's id is twelve digits.
	number, _ := strconv.ParseUint(account, 10, 64)
	bits := binary.BigEndian.Uint64(raw[:])
	bits = bits&^(accountMask<<accountShift) | number&accountMask<<accountShift | newForm
	binary.BigEndian.PutUint64(raw[:], bits)
	return temporaryPrefix + base32.StdEncoding.EncodeToString(raw[:]), text
}

// AccountOfTemporaryKey reads the account from the id of a temporary access key. It need not exist.
func AccountOfTemporaryKey(id string) (account string, ok bool) {
	text, ok := strings.CutPrefix(id, temporaryPrefix)
	raw, err := base32.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(raw) != 10 {
		return "", false
	}
	bits := binary.BigEndian.Uint64(raw)
	number := bits >> accountShift & accountMask
	return fmt.Sprintf("%012d", number), bits&newForm != 0 && number < 1_000_000_000_000
}
