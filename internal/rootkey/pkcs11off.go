//go:build !pkcs11

package rootkey

import (
	"errors"
	"net/url"

	"github.com/coffer-registry/coffer/internal/kms"
)

// newPKCS11 refuses what needs a C compiler to be built.
func newPKCS11(*url.URL, string, Options) (kms.Root, error) {
	return nil, errors.New("needs a coffer that was built for it: go build -tags pkcs11 ./cmd/coffer")
}
