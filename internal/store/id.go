package store

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// NewID returns a row id: positive, and in the order of time to the microsecond. The low 11 bits are random, so that two
// servers at one instant hardly ever take the same; the primary key catches it when they do.
func NewID() int64 {
	var r [2]byte
	rand.Read(r[:])
	return time.Now().UnixMicro()<<11 | int64(binary.BigEndian.Uint16(r[:])&0x7ff)
}
