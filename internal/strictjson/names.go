package strictjson

import (
	"bytes"
	"cmp"
	"slices"
)

// names holds the members' names of the objects that are open, the innermost last.
type names struct {
	list []name
	// text holds the names that are written with escape sequences, without them.
	text []byte
}

// name is one name. It is small because a text can have a name every six bytes.
type name struct {
	at        uint32 // where it is written in the document
	from, len uint32 // in the document, or in names.text if it is escaped
	escaped   bool
}

// mark is where the names of an object begin.
type mark struct{ list, text int }

// few is up to how many names an object's names are compared one by one; those of a larger object are sorted when it
// ends, so that no object takes time with the square of its size.
const few = 8

func (n *names) mark() mark { return mark{len(n.list), len(n.text)} }

// add takes in the name that is written between start and end, with its quotes, and reports whether the object whose names
// begin at m has it already. Of an object with more than a few names only close knows that.
func (n *names) add(data []byte, start, end int, escaped bool, m mark) (twice bool) {
	added := name{at: uint32(start), from: uint32(start + 1), len: uint32(end - start - 2), escaped: escaped}
	if escaped {
		added.from = uint32(len(n.text))
		n.text = unescape(n.text, data[start+1:end-1])
		added.len = uint32(len(n.text)) - added.from
	}
	own := n.list[m.list:]
	n.list = append(n.list, added)
	if len(own) >= few {
		return false
	}
	for _, other := range own {
		if bytes.Equal(n.bytes(data, other), n.bytes(data, added)) {
			return true
		}
	}
	return false
}

// close forgets the names from m on, and reports whether two of them are the same, and where the second is written.
func (n *names) close(data []byte, m mark) (at int, twice bool) {
	own := n.list[m.list:]
	if len(own) > few {
		slices.SortFunc(own, func(a, b name) int {
			return cmp.Or(bytes.Compare(n.bytes(data, a), n.bytes(data, b)), cmp.Compare(a.at, b.at))
		})
		for i := 1; i < len(own); i++ {
			if bytes.Equal(n.bytes(data, own[i-1]), n.bytes(data, own[i])) {
				return int(own[i].at), true
			}
		}
	}
	n.list, n.text = n.list[:m.list], n.text[:m.text]
	return 0, false
}

func (n *names) bytes(data []byte, of name) []byte {
	if of.escaped {
		data = n.text
	}
	return data[of.from : of.from+of.len]
}
