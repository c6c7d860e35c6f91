package arn

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Match reports whether value has the form of pattern, in which "*" stands for any run of characters, also none, and "?"
// for exactly one; all else stands for itself, with its case. That is how IAM matches actions, resources and the values of
// StringLike. A character of value is a code point, or a byte that is not part of valid UTF-8; a pattern that is not valid
// UTF-8, which no JSON document can hold, matches nothing.
//
// It never backtracks: a run between two stars is looked for once, leftmost, which leaves the most for what follows. The
// time grows with len(pattern) + len(value), and only for an inner run that holds "?" with len(value) * len(run) / 64.
func Match(pattern, value string) bool {
	if !utf8.ValidString(pattern) {
		return false
	}
	head, pattern, star := strings.Cut(pattern, "*")
	n, ok := matchStart(head, value)
	if !ok || !star {
		return ok && n == len(value)
	}
	value = value[n:]
	last := strings.LastIndexByte(pattern, '*')
	n, ok = matchEnd(pattern[last+1:], value)
	if !ok || last < 0 {
		return ok
	}
	value = value[:len(value)-n]
	for run := range strings.SplitSeq(pattern[:last], "*") {
		end := search(value, run)
		if end < 0 {
			return false
		}
		value = value[end:]
	}
	return true
}

// matchStart matches a run, which has no stars, at the start of value, and returns how many bytes it takes there.
func matchStart(run, value string) (n int, ok bool) {
	for i := range len(run) {
		switch {
		case n == len(value):
			return 0, false
		case run[i] == '?':
			_, width := utf8.DecodeRuneInString(value[n:])
			n += width
		case run[i] != value[n]:
			return 0, false
		default:
			n++
		}
	}
	return n, true
}

// matchEnd is matchStart at the end of value.
func matchEnd(run, value string) (n int, ok bool) {
	for i := len(run) - 1; i >= 0; i-- {
		rest := value[:len(value)-n]
		switch {
		case rest == "":
			return 0, false
		case run[i] == '?':
			_, width := utf8.DecodeLastRuneInString(rest)
			n += width
		case run[i] != rest[len(rest)-1]:
			return 0, false
		default:
			n++
		}
	}
	return n, true
}

// search finds where run, which has no stars, first occurs in value, and returns where it ends there, or -1.
func search(value, run string) int {
	if strings.IndexByte(run, '?') >= 0 {
		return shiftAnd(value, []rune(run))
	}
	at := strings.Index(value, run)
	if at < 0 {
		return -1
	}
	return at + len(run)
}

// noRune stands for a byte that belongs to no code point, so that it isn't taken for U+FFFD.
const noRune = -1

func decode(s string) (r rune, width int) {
	r, width = utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && width == 1 {
		return noRune, 1
	}
	return r, width
}

// shiftAnd finds a run with question marks. Bit i of matched says that the first i+1 characters of the run end here, for
// all i at once (the algorithm of Baeza-Yates and Gonnet).
func shiftAnd(value string, run []rune) int {
	anything := make([]uint64, (len(run)+63)/64) // the places where the run takes any character
	for i, c := range run {
		if c == '?' {
			anything[i/64] |= 1 << (i % 64)
		}
	}
	places := map[rune][]uint64{} // those where it takes this one
	for i, c := range run {
		if places[c] == nil {
			places[c] = slices.Clone(anything)
		}
		places[c][i/64] |= 1 << (i % 64)
	}
	matched := make([]uint64, len(anything))
	last := len(run) - 1
	for at := 0; at < len(value); {
		c, width := decode(value[at:])
		at += width
		allowed := places[c]
		if allowed == nil {
			allowed = anything
		}
		carry := uint64(1)
		for w := range matched {
			next := matched[w] >> 63
			matched[w] = (matched[w]<<1 | carry) & allowed[w]
			carry = next
		}
		if matched[last/64]>>(last%64)&1 == 1 {
			return at
		}
	}
	return -1
}
