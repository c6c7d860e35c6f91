package policy

import (
	"cmp"
	"math"
	"strconv"
	"strings"
	"time"
)

// decimal is a number as it is written, so that no digit is lost.
type decimal struct {
	negative      bool
	whole, digits string // before and behind the point, without zeros that mean nothing
}

// parseDecimal reads an integer or a decimal fraction, which may have a sign.
func parseDecimal(s string) (d decimal, ok bool) {
	unsigned := strings.TrimPrefix(s, "+")
	if strings.HasPrefix(s, "-") {
		d.negative, unsigned = true, s[1:]
	}
	whole, digits, point := strings.Cut(unsigned, ".")
	if !isDigits(whole) || point && !isDigits(digits) {
		return decimal{}, false
	}
	d.whole, d.digits = strings.TrimLeft(whole, "0"), strings.TrimRight(digits, "0")
	if d.whole == "" && d.digits == "" {
		d.negative = false
	}
	return d, true
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (d decimal) cmp(other decimal) int {
	if d.negative != other.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	order := cmp.Or(cmp.Compare(len(d.whole), len(other.whole)), cmp.Compare(d.whole, other.whole), cmp.Compare(d.digits, other.digits))
	if d.negative {
		return -order
	}
	return order
}

// endOfTime keeps seconds within what package time compares rightly.
const endOfTime = 1 << 55

// parseInstant reads a date of the W3C profile of ISO 8601, from a year alone down to fractions of a second, or seconds
// since 1970. What has a time but no zone is UTC.
func parseInstant(s string) (time.Time, bool) {
	day, clock, hasClock := s, "", false
	if i := strings.IndexAny(s, "Tt"); i >= 0 {
		day, clock, hasClock = s[:i], s[i+1:], true
	}
	if !hasClock && len(s) != 4 && isDigits(s) {
		seconds, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(min(seconds, endOfTime), 0), err == nil
	}
	fields := strings.Split(day, "-")
	if len(fields) > 3 || hasClock && len(fields) < 3 {
		return time.Time{}, false
	}
	year, yearOK := parseField(fields[0], 0, 9999)
	month, monthOK := parseOptional(fields, 1, 1, 12)
	mday, mdayOK := parseOptional(fields, 2, 1, 31)
	if len(fields[0]) != 4 || !yearOK || !monthOK || !mdayOK {
		return time.Time{}, false
	}
	at := time.Date(year, time.Month(month), mday, 0, 0, 0, 0, time.UTC)
	if at.Day() != mday { // the 30th of February
		return time.Time{}, false
	}
	since, ok := parseClock(clock, hasClock)
	return at.Add(since), ok
}

// parseClock reads the time of a day with its zone, and returns how long it is after midnight of that day in UTC.
func parseClock(s string, present bool) (time.Duration, bool) {
	if !present {
		return 0, true
	}
	s, zone, ok := cutZone(s)
	fields := strings.Split(s, ":")
	if !ok || len(fields) < 2 || len(fields) > 3 {
		return 0, false
	}
	hours, hoursOK := parseField(fields[0], 0, 23)
	minutes, minutesOK := parseField(fields[1], 0, 59)
	seconds := time.Duration(0)
	secondsOK := true
	if len(fields) == 3 {
		seconds, secondsOK = parseSeconds(fields[2])
	}
	since := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + seconds - zone
	return since, hoursOK && minutesOK && secondsOK
}

// cutZone splits a time of day from its zone, which is "Z" or an offset from UTC such as "+01:00".
func cutZone(s string) (rest string, zone time.Duration, ok bool) {
	if rest, ok := strings.CutSuffix(strings.ToUpper(s), "Z"); ok {
		return rest, 0, true
	}
	i := strings.IndexAny(s, "+-")
	if i < 0 {
		return s, 0, true
	}
	hours, minutes, _ := strings.Cut(s[i+1:], ":")
	h, hoursOK := parseField(hours, 0, 23)
	m, minutesOK := parseField(minutes, 0, 59)
	zone = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if s[i] == '-' {
		zone = -zone
	}
	return s[:i], zone, hoursOK && minutesOK && len(hours) == 2 && len(minutes) == 2
}

// parseSeconds reads seconds, which may have a fraction of up to nine digits.
func parseSeconds(s string) (time.Duration, bool) {
	whole, fraction, point := strings.Cut(s, ".")
	seconds, ok := parseField(whole, 0, 59)
	if !point {
		return time.Duration(seconds) * time.Second, ok
	}
	if len(fraction) > 9 {
		return 0, false
	}
	nanoseconds, fractionOK := parseField(fraction+strings.Repeat("0", 9-len(fraction)), 0, math.MaxInt32)
	return time.Duration(seconds)*time.Second + time.Duration(nanoseconds), ok && fractionOK && fraction != ""
}

func parseOptional(fields []string, i, least, most int) (int, bool) {
	if i >= len(fields) {
		return least, true
	}
	return parseField(fields[i], least, most)
}

func parseField(s string, least, most int) (int, bool) {
	if !isDigits(s) || len(s) > 9 {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= least && n <= most
}
