package policy

import "fmt"

// Size counts the characters of a document as IAM counts them against its quotas: white space does not count, save within
// strings. It takes any text, also one that is no document.
func Size(document []byte) (characters int) {
	l := lexer{text: document}
	for {
		token, ok := l.next()
		if !ok {
			return characters
		}
		characters += token.runes(document)
	}
}

// The characters that documents may have, by Size.
const (
	// QuotaManaged is that of a managed policy, by version.
	QuotaManaged = 6144
	// QuotaTrust is that of a role's trust policy.
	QuotaTrust = 2048
	// QuotaUser, QuotaGroup and QuotaRole are those of all inline policies of one user, group or role together.
	QuotaUser  = 2048
	QuotaGroup = 5120
	QuotaRole  = 10_240
)

// OversizeError says that documents have more characters than they may. IAM's code for it is LimitExceeded.
type OversizeError struct {
	// Message is the sentence that IAM answers with.
	Message string
}

// Error returns the message.
func (e *OversizeError) Error() string { return e.Message }

// CheckManagedSize judges the size of a managed policy. The error is an *OversizeError.
func CheckManagedSize(document []byte) error {
	return within(Size(document), QuotaManaged, fmt.Sprintf("Cannot exceed quota for PolicySize: %d", QuotaManaged))
}

// CheckTrustSize judges the size of a role's trust policy. The error is an *OversizeError.
func CheckTrustSize(document []byte) error {
	return within(Size(document), QuotaTrust, fmt.Sprintf("Cannot exceed quota for ACLSizePerRole: %d", QuotaTrust))
}

// CheckInlineSize judges the size of all inline policies of an owner together, of which "user", "group" and "role" are the
// kinds. The error is an *OversizeError.
func CheckInlineSize(owner, name string, documents ...[]byte) error {
	quota := map[string]int{"user": QuotaUser, "group": QuotaGroup, "role": QuotaRole}[owner]
	size := 0
	for _, document := range documents {
		size += Size(document)
	}
	return within(size, quota, fmt.Sprintf("Maximum policy size of %d bytes exceeded for %s %s", quota, owner, name))
}

func within(size, quota int, message string) error {
	if size > quota {
		return &OversizeError{message}
	}
	return nil
}
