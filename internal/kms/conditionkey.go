package kms

import (
	"maps"
	"slices"
	"strconv"

	"github.com/coffer-registry/coffer/internal/policy"
)

// PutKeys adds the condition keys of an encryption context to those of a request; of an empty one there are none.
func (c Context) PutKeys(to policy.Context) {
	if len(c) == 0 {
		return
	}
	names := slices.Sorted(maps.Keys(c))
	for _, name := range names {
		to.Put("kms:EncryptionContext:"+name, c[name])
	}
	to.Put("kms:EncryptionContextKeys", names...)
}

// PutKeys adds the condition keys of a grant that is to be made to those of the request for it.
func (n NewGrant) PutKeys(to policy.Context) {
	to.Put("kms:GrantIsForAWSResource", strconv.FormatBool(n.Internal))
	to.Put("kms:GranteePrincipal", n.Grantee)
	if len(n.Operations) > 0 {
		to.Put("kms:GrantOperations", n.Operations...)
	}
	if n.Retiring != "" {
		to.Put("kms:RetiringPrincipal", n.Retiring)
	}
	switch {
	case len(n.Constraints.Subset) > 0:
		to.Put("kms:GrantConstraintType", "EncryptionContextSubset")
	case len(n.Constraints.Equals) > 0:
		to.Put("kms:GrantConstraintType", "EncryptionContextEquals")
	}
}
