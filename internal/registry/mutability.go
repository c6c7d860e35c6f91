package registry

import (
	"fmt"
	"strings"
)

// Mutability says whether an existing tag of a repository may be pushed again.
type Mutability string

// The mutabilities. With exclusion, the tags that match a filter are treated the other way round.
const (
	Mutable                Mutability = "MUTABLE"
	Immutable              Mutability = "IMMUTABLE"
	MutableWithExclusion   Mutability = "MUTABLE_WITH_EXCLUSION"
	ImmutableWithExclusion Mutability = "IMMUTABLE_WITH_EXCLUSION"
)

// withExclusion reports whether the mutability takes exclusion filters.
func (m Mutability) withExclusion() bool {
	return m == MutableWithExclusion || m == ImmutableWithExclusion
}

// tagImmutable reports whether an existing tag must stay where it is.
func (m Mutability) tagImmutable(filters []string, tag string) bool {
	immutable := m == Immutable || m == ImmutableWithExclusion
	if !m.withExclusion() {
		return immutable
	}
	for _, f := range filters {
		if matchWildcard(f, tag) {
			return !immutable
		}
	}
	return immutable
}

// checkMutability checks that filters are given exactly where the mutability takes them. The error is ErrFiltersMissing,
// ErrFiltersUnexpected or *LimitError.
func checkMutability(m Mutability, filters []string, limits Limits) error {
	switch {
	case m.withExclusion() && len(filters) == 0:
		return fmt.Errorf("%w for %s", ErrFiltersMissing, m)
	case !m.withExclusion() && len(filters) > 0:
		return fmt.Errorf("%w: %s", ErrFiltersUnexpected, m)
	case int64(len(filters)) > limits.Get(ExclusionFilters):
		return &LimitError{Limit: ExclusionFilters, Value: limits.Get(ExclusionFilters)}
	}
	return nil
}

// matchWildcard reports whether the whole of s matches the pattern, in which * stands for any run of characters.
func matchWildcard(pattern, s string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	if !wild {
		return s == ""
	}
	for {
		var part string
		part, rest, wild = strings.Cut(rest, "*")
		if !wild {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
}
