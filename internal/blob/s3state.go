package blob

import (
	"encoding/binary"
	"encoding/hex"
)

// s3State is what it takes to go on with an upload in any process: which multipart upload it is, which parts were
// written, and what came after them. All parts but the tail are full, so their sizes follow from their number. Their etags
// are listed by the server, and known by their digest: a state stays small, however large the upload is.
type s3State struct {
	key string
	id  string // of the multipart upload
	// summed says that the parts go with their checksums.
	summed bool
	parts  int
	chain  etagChain
	tail   []byte // what follows the parts, if it is short
	// tailID names the temporary object that holds what follows the parts, if that is not short.
	tailID   string
	tailSize int
	// old are temporary objects that this state replaces. They are deleted by who goes on from it.
	old []string
}

const (
	stateVersion = 1
	// stateSummed is the version of a state whose parts go with their checksums.
	stateSummed = 2
	tailIDSize  = 8 // bytes, as hexadecimal digits in the name
	maxOldTails = 8
	maxUploadID = 4096
)

// size is how many bytes the upload holds.
func (s *s3State) size() int64 { return partsSize(s.parts) + int64(max(len(s.tail), s.tailSize)) }

// encode is: version ‖ key ‖ parts ‖ digest of their etags ‖ id ‖ tail ‖ id and size of the tail's object ‖ replaced
// objects. Texts and numbers of variable length carry their length.
func (s *s3State) encode() []byte {
	b := []byte{stateVersion}
	if s.summed {
		b[0] = stateSummed
	}
	b = append(b, s.key...)
	b = binary.AppendUvarint(b, uint64(s.parts))
	b = append(b, s.chain[:]...)
	b = appendText(b, s.id)
	b = appendText(b, string(s.tail))
	b = appendText(b, s.tailID)
	b = binary.AppendUvarint(b, uint64(s.tailSize))
	b = append(b, byte(len(s.old)))
	for _, id := range s.old {
		b = appendText(b, id)
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeState reads a state. The error is ErrState for what encode never makes.
func decodeState(b []byte) (*s3State, error) {
	r := stateReader{rest: b}
	version := r.byte()
	s := &s3State{summed: version == stateSummed}
	if version != stateVersion && version != stateSummed {
		return nil, ErrState
	}
	s.key = string(r.take(keyLength))
	s.parts = r.number(maxParts)
	copy(s.chain[:], r.take(len(s.chain)))
	s.id = r.text(maxUploadID)
	if tail := r.text(embeddedTail); tail != "" {
		s.tail = []byte(tail)
	}
	s.tailID = r.text(2 * tailIDSize)
	s.tailSize = r.number(partSize(maxParts))
	for range min(r.byte(), maxOldTails) {
		s.old = append(s.old, r.text(2*tailIDSize))
	}
	for _, id := range append(s.old, s.tailID) {
		r.bad = r.bad || id != "" && !isTailID(id)
	}
	if r.bad || len(r.rest) > 0 || !ValidKey(s.key) || s.id == "" || (s.tailID == "") != (s.tailSize == 0) || s.tail != nil && s.tailID != "" {
		return nil, ErrState
	}
	return s, nil
}

func isTailID(id string) bool {
	b, err := hex.DecodeString(id)
	return err == nil && len(b) == tailIDSize
}

// stateReader reads a state from its start. After anything is bad, all that it gives is empty.
type stateReader struct {
	rest []byte
	bad  bool
}

func (r *stateReader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *stateReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *stateReader) number(most int) int {
	n, size := binary.Uvarint(r.rest)
	if r.bad || size <= 0 || n > uint64(most) {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return int(n)
}

func (r *stateReader) text(most int) string { return string(r.take(r.number(most))) }
