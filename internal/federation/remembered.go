package federation

import "crypto/sha256"

// maxRemembered is how many documents of SAML providers are remembered as they were read.
const maxRemembered = 100

// Metadata reads the document of a provider as ParseMetadata does, and remembers what it says: anybody may bring an assertion,
// and whoever does must not make the server read the same large document each time.
func (v *Verifier) Metadata(document string) (*Metadata, error) {
	sum := sha256.Sum256([]byte(document))
	v.mu.Lock()
	known := v.metadata[sum]
	v.mu.Unlock()
	if known != nil {
		return known, nil
	}
	m, err := ParseMetadata(document)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.metadata) >= maxRemembered || v.metadata == nil {
		v.metadata = map[[sha256.Size]byte]*Metadata{}
	}
	v.metadata[sum] = m
	return m, nil
}
