package keymaterial

import (
	"crypto"
	"crypto/hmac"
	"fmt"
)

func macHash(algorithm string) crypto.Hash {
	switch algorithm {
	case HMACSHA224:
		return crypto.SHA224
	case HMACSHA384:
		return crypto.SHA384
	case HMACSHA512:
		return crypto.SHA512
	}
	return crypto.SHA256
}

// GenerateMac returns the authentication code of a message of at most MaxMessage bytes. The errors are ErrUnsupported and
// ErrMessage.
func (m Material) GenerateMac(algorithm string, message []byte) ([]byte, error) {
	s, err := m.of(GenerateVerifyMac, algorithm)
	if err != nil {
		return nil, err
	}
	if len(message) > MaxMessage {
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrMessage, MaxMessage)
	}
	mac := hmac.New(macHash(algorithm).New, s.raw)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// VerifyMac returns ErrMac if the code is not that of the message; it compares in constant time. The other errors are
// ErrUnsupported and ErrMessage.
func (m Material) VerifyMac(algorithm string, message, mac []byte) error {
	expected, err := m.GenerateMac(algorithm, message)
	if err != nil {
		return err
	}
	if !hmac.Equal(expected, mac) {
		return ErrMac
	}
	return nil
}
