// Package strictjson reads JSON texts (RFC 8259) that come from outside and accepts only those that every reader
// understands alike: valid UTF-8, one value and nothing after it, no object with two members of the same name, no half of
// a surrogate pair, and no deeper nesting than the caller allows. Two programs that disagree about a text are how a check
// is bypassed, so what is ambiguous is refused.
//
// Check only judges. Parse returns a Value, which is a view of the text itself: it copies nothing, so that the memory it
// takes does not depend on the text.
//
// The package neither builds Go values nor writes JSON; encoding/json does. Everything that Check accepts is valid JSON to
// encoding/json too. A Value's names are matched exactly, whereas encoding/json matches struct fields in any letter case:
// who judges a text by one and decodes it by the other judges something else.
package strictjson

import (
	"fmt"
	"math"
)

// Error says what is wrong with a text, and where.
type Error struct {
	// Offset is the position in the text, in bytes.
	Offset int
	// Reason is a short phrase that quotes nothing from the text.
	Reason string
}

// Error returns a sentence for a log or a client.
func (e *Error) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// Check reports whether data is exactly one JSON value, by the rules of the package, whose arrays and objects are nested
// at most maxDepth levels: with 0 only a scalar passes. The error is an *Error. Numbers may have any size and precision.
// It takes one pass, does not recurse, and needs memory only for the nesting and the names of the objects that are open.
func Check(data []byte, maxDepth int) error {
	_, err := Parse(data, maxDepth)
	return err
}

// Parse checks data like Check and returns its value, which shares memory with data and is valid as long as data does not
// change.
func Parse(data []byte, maxDepth int) (Value, error) {
	if uint64(len(data)) > math.MaxUint32 {
		return Value{}, &Error{Offset: len(data), Reason: "text is too long"}
	}
	s := scanner{data: data, maxDepth: maxDepth}
	start, end, err := s.document()
	if err != nil {
		return Value{}, err
	}
	return valueAt(data[start:end]), nil
}
