package kms

import (
	"fmt"
	"testing"
)

func BenchmarkEncrypt(b *testing.B) {
	e := newKeysEnv(b)
	key := e.create(NewKey{})
	c, data := Context{"aws:ecr:arn": "arn:aws:ecr:us-east-1:123456789012:repository/team/app", "aws:s3:arn": "arn:aws:s3:::bucket/app"}, make([]byte, 32)
	blob, err := e.Encrypt(b.Context(), key.ARN, data, c)
	e.must(err)
	b.Run("encrypt", func(b *testing.B) {
		for b.Loop() {
			if _, err := e.Encrypt(b.Context(), key.ARN, data, c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decrypt", func(b *testing.B) {
		for b.Loop() {
			if _, _, _, err := e.Decrypt(b.Context(), blob, c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decrypt of 100 keys", func(b *testing.B) {
		blobs := make([][]byte, 100)
		for i := range blobs {
			blobs[i], err = e.Encrypt(b.Context(), e.create(NewKey{Description: fmt.Sprint(i)}).ARN, data, c)
			e.must(err)
		}
		for i := 0; b.Loop(); i++ {
			if _, _, _, err := e.Decrypt(b.Context(), blobs[i%len(blobs)], c); err != nil {
				b.Fatal(err)
			}
		}
	})
}
