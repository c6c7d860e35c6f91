package store

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// idRandomBits are the low bits of a row id, below the microsecond.
const idRandomBits = 11

// IDAt returns the lowest row id that NewID can have returned at a time.
func IDAt(t time.Time) int64 { return t.UnixMicro() << idRandomBits }

// NewID returns a row id: positive, and in the order of time to the microsecond, by the clock of the database. The low bits are random, so that two
// servers at one instant hardly ever take the same; the primary key catches it when they do.
func (db *DB) NewID() int64 {
	var r [2]byte
	rand.Read(r[:])
	return IDAt(db.Now()) | int64(binary.BigEndian.Uint16(r[:])&(1<<idRandomBits-1))
}
