package policy

import "strings"

// Grant is a grant of KMS: it allows a principal some operations with one key.
type Grant struct {
	// ID is what a Decision calls the grant.
	ID string
	// Grantee is the ARN of a principal, the id of an account, or the name of a service.
	Grantee string
	// Operations are names such as "Decrypt".
	Operations []string
	// EncryptionContextSubset must be part of the request's encryption context; nil demands nothing.
	EncryptionContextSubset map[string]string
	// EncryptionContextEquals must be the request's encryption context; nil demands nothing.
	EncryptionContextEquals map[string]string
}

// match returns how closely the grant names the caller, if it allows the action at all.
func (g *Grant) match(action string, encryption map[string]string, c *caller) strength {
	name, isKMS := strings.CutPrefix(action, "kms:")
	if !isKMS || !g.allows(name, encryption) {
		return unnamed
	}
	e, ok := newAWSEntry(g.Grantee)
	if !ok {
		e = principalEntry{entryService, g.Grantee}
	}
	if e.form == entryEveryone {
		return unnamed
	}
	return e.match(c)
}

func (g *Grant) allows(name string, encryption map[string]string) bool {
	for _, operation := range g.Operations {
		if strings.EqualFold(operation, name) {
			return name == "describekey" || name == "retiregrant" || g.constraintsHold(encryption)
		}
	}
	return false
}

func (g *Grant) constraintsHold(encryption map[string]string) bool {
	if g.EncryptionContextEquals != nil && len(g.EncryptionContextEquals) != len(encryption) {
		return false
	}
	return isPart(g.EncryptionContextSubset, encryption) && isPart(g.EncryptionContextEquals, encryption)
}

func isPart(of, whole map[string]string) bool {
	for key, value := range of {
		if got, ok := whole[key]; !ok || got != value {
			return false
		}
	}
	return true
}
