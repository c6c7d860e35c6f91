package sts

import (
	"maps"
	"slices"
	"strings"

	api "github.com/coffer-registry/coffer/internal/awsapi/sts"
	"github.com/coffer-registry/coffer/internal/identity"
	"github.com/coffer-registry/coffer/internal/policy"
)

// maxSessionTags is how many tags a session may have.
const maxSessionTags = 50

// sessionTags are the tags of a session that a caller makes, and the keys of those that go on from it: what is passed, and
// what goes on from the caller's own session, which nothing overrides.
func sessionTags(c identity.Caller, passed []api.Tag, transitive []string) (tags map[string]string, keys []string, err error) {
	tags, inherited := map[string]string{}, inheritedTags(c)
	folded := map[string]bool{}
	for _, t := range passed {
		key := strings.ToLower(t.Key)
		switch {
		case strings.HasPrefix(key, "aws:"):
			return nil, nil, invalid("Tag keys that begin with aws: are reserved for the system.") // in words of our own
		case folded[key]:
			return nil, nil, invalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case hasKey(inherited, t.Key):
			return nil, nil, errConflict
		}
		folded[key] = true
		tags[t.Key] = t.Value
	}
	for _, key := range transitive {
		if hasKey(inherited, key) {
			return nil, nil, errConflict
		}
		if !folded[strings.ToLower(key)] {
			return nil, nil, invalidParameter("The specified transitive tag key must be included in the requested tags.")
		}
		keys = append(keys, key)
	}
	maps.Copy(tags, inherited)
	if len(tags) > maxSessionTags {
		return nil, nil, invalidParameter("The session would have more tags than it may, which is 50.") // in words of our own
	}
	return tags, append(keys, slices.Sorted(maps.Keys(inherited))...), nil
}

// errConflict is the refusal of a tag that the caller's session has and that goes on.
var errConflict = invalidParameter("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")

// inheritedTags are those of the caller's session that go on to the sessions that it makes.
func inheritedTags(c identity.Caller) map[string]string {
	if c.Session == nil {
		return nil
	}
	return c.Session.TransitiveTags()
}

func hasKey(tags map[string]string, key string) bool {
	for other := range tags {
		if policy.SameKey(other, key) {
			return true
		}
	}
	return false
}

// putSessionTags adds the condition keys of tags that a request passes, and of those that go on from the session.
func putSessionTags(keys policy.Context, tags []api.Tag, transitive []string) {
	names := make([]string, 0, len(tags))
	for _, t := range tags {
		keys.Put("aws:RequestTag/"+t.Key, t.Value)
		names = append(names, t.Key)
	}
	if len(names) > 0 {
		keys.Put("aws:TagKeys", names...)
	}
	if len(transitive) > 0 {
		keys.Put("sts:TransitiveTagKeys", transitive...)
	}
}
