package keymaterial

import (
	"crypto/aes"
	"crypto/subtle"
	"encoding/binary"
)

const (
	// unit is what the padded key wrap of RFC 5649 works on: half a block.
	unit = 8
	// maxWrapped is far more bytes than any material takes.
	maxWrapped = 16 << 10
)

// unwrapPadded opens a text that was wrapped as RFC 5649 says. All that is wrong is found after the same work, and is ErrCiphertext.
func unwrapPadded(key, wrapped []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(wrapped) < 2*unit || len(wrapped) > maxWrapped || len(wrapped)%unit != 0 {
		return nil, ErrCiphertext
	}
	buffer := append([]byte(nil), wrapped...)
	n := len(buffer)/unit - 1
	if n == 1 {
		block.Decrypt(buffer, buffer)
	} else {
		var b [2 * unit]byte
		copy(b[:unit], buffer)
		for step := 6 * n; step > 0; step-- {
			place := buffer[unit*((step-1)%n+1):][:unit]
			binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])^uint64(step))
			copy(b[unit:], place)
			block.Decrypt(b[:], b[:])
			copy(place, b[unit:])
		}
		copy(buffer, b[:unit])
	}
	return unpad(buffer)
}

// unpad checks the initial value, which is four bytes and the length of the text in bytes, and the zeros after the text.
func unpad(buffer []byte) ([]byte, error) {
	text := buffer[unit:]
	size := binary.BigEndian.Uint32(buffer[4:])
	good := subtle.ConstantTimeCompare(buffer[:4], []byte{0xa6, 0x59, 0x59, 0xa6})
	// The padding is of less than a unit, so the size is one of the last eight possible.
	padding := uint32(len(text)) - size
	good &= subtle.ConstantTimeLessOrEq(int(padding&0x7fffffff), unit-1) & subtle.ConstantTimeEq(int32(padding>>31), 0)
	var stray byte
	for i := range unit {
		inPadding := subtle.ConstantTimeLessOrEq(i+1, int(padding&0x7fffffff))
		stray |= text[len(text)-1-i] & byte(-inPadding)
	}
	good &= subtle.ConstantTimeByteEq(stray, 0)
	if good != 1 {
		clear(buffer)
		return nil, ErrCiphertext
	}
	return text[:size:size], nil
}
