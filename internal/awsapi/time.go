package awsapi

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"time"
)

// Time is a point in time as AWS services exchange it: milliseconds precise, in JSON as a number of seconds since 1970, in
// XML as ISO 8601 in UTC.
type Time struct{ at time.Time }

// NewTime returns t, cut to milliseconds.
func NewTime(t time.Time) Time {
	return Time{t.UTC().Truncate(time.Millisecond)}
}

// Time returns the point in time, in UTC.
func (t Time) Time() time.Time { return t.at }

// IsZero reports whether t is the zero Time.
func (t Time) IsZero() bool { return t.at.IsZero() }

// Equal reports whether both are the same point in time.
func (t Time) Equal(u Time) bool { return t.at.Equal(u.at) }

// String returns the time in ISO 8601 in UTC, such as 2015-11-30T09:30:53Z, with milliseconds if it has any.
func (t Time) String() string {
	return t.at.Format("2006-01-02T15:04:05.999Z")
}

// MarshalJSON returns the seconds since 1970, such as 1448875853.241.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.appendSeconds(nil), nil
}

func (t Time) appendSeconds(dst []byte) []byte {
	ms := t.at.UnixMilli()
	if ms < 0 {
		dst = append(dst, '-')
		ms = -ms
	}
	dst = strconv.AppendInt(dst, ms/1000, 10)
	if ms %= 1000; ms != 0 {
		// 1000 makes three digits of the milliseconds, and becomes the point.
		fraction := strconv.AppendInt(nil, 1000+ms, 10)
		fraction[0] = '.'
		dst = append(dst, bytes.TrimRight(fraction, "0")...)
	}
	return dst
}

var errTime = errors.New("not a time: neither seconds since 1970 nor ISO 8601")

// UnmarshalJSON reads a number of seconds, with a fraction or without, or a string in ISO 8601.
func (t *Time) UnmarshalJSON(text []byte) error {
	if len(text) >= 2 && text[0] == '"' {
		return t.parseISO(string(text[1 : len(text)-1]))
	}
	return t.parseSeconds(string(text))
}

func (t *Time) parseISO(text string) error {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errTime
	}
	*t = NewTime(at)
	return nil
}

// The first second of the year 1 and of the year 10000: beyond them times have no form in ISO 8601.
const firstSecond, endSecond = -62135596800, 253402300800

func (t *Time) parseSeconds(text string) error {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds >= firstSecond && seconds < endSecond) {
		return errTime
	}
	*t = NewTime(time.UnixMilli(int64(math.Round(seconds * 1000))))
	return nil
}
