package kms

import (
	"context"

	"github.com/coffer-registry/coffer/internal/keymaterial"
)

// GenerateMac returns the authentication code of a message by an HMAC key. Whoever asks must have been authorised. The error is
// *Error.
func (k *Keys) GenerateMac(ctx context.Context, keyARN, algorithm string, message []byte) (mac []byte, err error) {
	err = k.use(ctx, GenerateMac, keyARN, UsageMac, func(m keymaterial.Material) (err error) {
		mac, err = m.GenerateMac(algorithm, message)
		return err
	})
	return mac, err
}

// VerifyMac refuses an authentication code that is not that of the message. The error is *Error.
func (k *Keys) VerifyMac(ctx context.Context, keyARN, algorithm string, message, mac []byte) error {
	return k.use(ctx, VerifyMac, keyARN, UsageMac, func(m keymaterial.Material) error { return m.VerifyMac(algorithm, message, mac) })
}
