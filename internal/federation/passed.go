package federation

import (
	"errors"
	"regexp"
	"strings"

	"github.com/coffer-registry/coffer/internal/policy"
)

// What session tags may be, as in requests for sessions.
var (
	tagKeys   = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$`)
	tagValues = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$`)
)

// check judges what a provider passes by what whoever asks for a session may pass: two tags must not have one condition key,
// since neither would be sure to count.
func (p *Passed) check() error {
	if p.SourceIdentity != "" && (!sessionNames.MatchString(p.SourceIdentity) || reserved(p.SourceIdentity)) {
		return errors.New("the source identity is not what one may be")
	}
	keys := make([]string, 0, len(p.Tags))
	for key, value := range p.Tags {
		if !tagKeys.MatchString(key) || !tagValues.MatchString(value) || reserved(key) {
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
