package federation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/coffer-registry/coffer/internal/strictjson"
)

const (
	// keysFresh is how old keys may be before they are fetched again, and so how long a key that its provider withdrew
	// still counts while the provider can be reached.
	keysFresh = 15 * time.Minute
	// keyLifetime is how long keys count after they were last fetched, while the provider can't be reached.
	keyLifetime = 24 * time.Hour
	// retryAfter is how long a provider is left alone after keys were fetched, or failed to be, whatever tokens say.
	retryAfter = 10 * time.Second
	// maxIssuers is how many providers' keys are remembered. Of more, those that were not used for longest are forgotten.
	maxIssuers = 1000
	// maxKeys of each type is AWS's limit of a key set.
	maxKeys = 100
	// minRSA and maxRSA are the sizes of RSA keys that are taken, in bits. Larger ones take too much time.
	minRSA, maxRSA = 2048, 8192
)

// keySet is what a provider published at one time. It never changes.
type keySet struct {
	keys      []jose.JSONWebKey
	fetchedAt time.Time
}

// fitting are the keys that a token may be signed with: of the name that it gives, and of the type that its algorithm
// needs. A token that names no key may be signed with the only one that fits.
func (s *keySet) fitting(t *token) (out []jose.JSONWebKey) {
	id, algorithm := t.keyID(), t.algorithm()
	for _, k := range s.keys {
		if (id == "" || k.KeyID == id) && (k.Algorithm == "" || k.Algorithm == algorithm) && keyFits(k.Key, algorithm) {
			out = append(out, k)
		}
	}
	if id == "" && len(out) > 1 {
		return nil
	}
	return out
}

var curves = map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}

// keyFits reports whether a key is of the type of an algorithm.
func keyFits(key any, algorithm string) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return key.Curve == curves[algorithm]
	}
	return false
}

// parseKeys reads a key set. Keys that are not for verifying signatures, or not of a type that is accepted, are left out.
func parseKeys(data []byte) ([]jose.JSONWebKey, error) {
	document, err := strictjson.Parse(data, maxTokenDepth)
	if err != nil {
		return nil, err
	}
	list := document.Member("keys")
	if list.Kind() != strictjson.Array {
		return nil, errors.New("the key set has no list of keys")
	}
	if list.Len() > 2*maxKeys {
		return nil, errors.New("the key set has too many keys")
	}
	var out []jose.JSONWebKey
	for _, v := range list.Items() {
		if k, ok := parseKey(v); ok {
			out = append(out, k)
		}
	}
	return out, nil
}

func parseKey(v strictjson.Value) (jose.JSONWebKey, bool) {
	var k jose.JSONWebKey
	if use := v.Member("use"); use.Kind() == strictjson.String && use.String() != "sig" {
		return k, false
	}
	// A private key that was published is not public: others may sign with it.
	if err := json.Unmarshal(v.Raw(), &k); err != nil || !k.Valid() || !k.IsPublic() {
		return k, false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return k, key.N.BitLen() >= minRSA && key.N.BitLen() <= maxRSA
	case *ecdsa.PublicKey:
		return k, true
	}
	return k, false
}
