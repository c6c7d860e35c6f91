package policy

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
