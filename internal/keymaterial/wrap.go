package keymaterial

import (
	"crypto/rsa"
	"fmt"
)

// The algorithms by which customers wrap material that they import, beside OAEPSHA1 and OAEPSHA256: those wrap an AES key by OAEP,
// and the material by that.
const (
	WrapAESSHA1   = "RSA_AES_KEY_WRAP_SHA_1"
	WrapAESSHA256 = "RSA_AES_KEY_WRAP_SHA_256"
)

// CheckWrapping refuses a wrapping algorithm and a spec of wrapping keys by which material of the spec can't be wrapped. The
// errors are ErrUnsupported and ErrEnforced.
func CheckWrapping(spec, wrapping Spec, algorithm string) error {
	if err := spec.Check(); err != nil {
		return err
	}
	switch wrapping {
	case RSA2048, RSA3072, RSA4096:
	default:
		return fmt.Errorf("%w: wrapping keys can't be of the spec %q", ErrUnsupported, string(wrapping))
	}
	switch algorithm {
	case OAEPSHA1, OAEPSHA256:
		isRSA := spec == RSA2048 || spec == RSA3072 || spec == RSA4096
		if isRSA || spec == P521 && wrapping == RSA2048 {
			return fmt.Errorf("%w: material of spec %s is too long for %s by a key of spec %s", ErrUnsupported, spec, algorithm, wrapping)
		}
	case WrapAESSHA1, WrapAESSHA256:
	default:
		return fmt.Errorf("%w: wrapping algorithm %s is not supported", ErrUnsupported, algorithm)
	}
	return checkEnforced(algorithm)
}

// Unwrap opens material that was wrapped by the public key of RSA material, and returns its bytes for FromBytes. The errors are
// ErrUnsupported, ErrEnforced, and ErrCiphertext for all that is wrong with what was wrapped.
func (m Material) Unwrap(algorithm string, wrapped []byte) ([]byte, error) {
	if err := CheckWrapping(SymmetricDefault, m.Spec(), algorithm); err != nil {
		return nil, err
	}
	private := (*m.secret).private.(*rsa.PrivateKey)
	if algorithm == OAEPSHA1 || algorithm == OAEPSHA256 {
		return openOAEP(private, algorithm, wrapped)
	}
	if len(wrapped) < private.Size() {
		return nil, ErrCiphertext
	}
	key, err := openOAEP(private, algorithm, wrapped[:private.Size()])
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if len(key) != 32 {
		return nil, fmt.Errorf("%w: the AES key that wraps has 256 bits", ErrCiphertext)
	}
	return unwrapPadded(key, wrapped[private.Size():])
}
