package federation

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/coffer-registry/coffer/internal/policy"
)

// The longest key and value of a session tag, in characters, as in requests for sessions.
const (
	maxTagKey   = 128
	maxTagValue = 256
)

// tagText reports whether a text consists of what the keys and values of session tags may consist of, and is not too long.
func tagText(text string, most int) bool {
	return utf8.RuneCountInString(text) <= most && strings.IndexFunc(text, func(r rune) bool {
		return r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r)
	}) < 0
}

// check judges what a provider passes by what whoever asks for a session may pass: two tags must not have one condition key,
// since neither would be sure to count.
func (p *Passed) check() error {
	if p.SourceIdentity != "" && (!sessionNames.MatchString(p.SourceIdentity) || reserved(p.SourceIdentity)) {
		return errors.New("the source identity is not what one may be")
	}
	keys := make([]string, 0, len(p.Tags))
	for key, value := range p.Tags {
		if key == "" || !tagText(key, maxTagKey) || !tagText(value, maxTagValue) || reserved(key) {
			return errors.New("a tag is not what one may be")
		}
		for _, other := range keys {
			if policy.SameKey(key, other) {
				return errors.New("two tags have one key, whose case doesn't count")
			}
		}
		keys = append(keys, key)
	}
	return nil
}

// reserved reports whether a name is one of AWS's own.
func reserved(name string) bool { return strings.HasPrefix(strings.ToLower(name), "aws:") }
