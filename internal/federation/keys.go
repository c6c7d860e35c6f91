package federation

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/fips140"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
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
	keys []jose.JSONWebKey
	// refused are why RSA keys were left out that are of the right use, by their names.
	refused   map[string]error
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
func parseKeys(data []byte) (*keySet, error) {
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
	set := &keySet{refused: map[string]error{}}
	for _, v := range list.Items() {
		k, ok := parseKey(v)
		if !ok {
			continue
		}
		if key, ok := k.Key.(*rsa.PublicKey); ok {
			if err := checkRSA(key); err != nil {
				set.refused[k.KeyID] = err
				continue
			}
		}
		set.keys = append(set.keys, k)
	}
	return set, nil
}

// checkRSA says why signatures of an RSA key are not accepted; nil if they are.
func checkRSA(key *rsa.PublicKey) error {
	bits := key.N.BitLen()
	if bits < minRSA || bits > maxRSA {
		return fmt.Errorf("an RSA key of %d bits is not accepted; it must have %d to %d", bits, minRSA, maxRSA)
	}
	if fips140.Enforced() && (bits%2 == 1 || key.E <= 1<<16 || key.E%2 == 0) {
		return errors.New("an RSA key of an odd number of bits, or with an exponent that is even or below 65537, is not accepted while FIPS 140-3 is enforced")
	}
	return nil
}

func parseKey(v strictjson.Value) (jose.JSONWebKey, bool) {
	var k jose.JSONWebKey
	if use := v.Member("use"); use.Kind() == strictjson.String && use.String() != "sig" {
		return k, false
	}
	var err error
	// A key may come with its certificate, whose SHA-1 thumbprint is computed then. It is no more than a name for it.
	fips140.WithoutEnforcement(func() { err = json.Unmarshal(v.Raw(), &k) })
	// A private key that was published is not public: others may sign with it.
	if err != nil || !k.Valid() || !k.IsPublic() {
		return k, false
	}
	switch k.Key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey:
		return k, true
	}
	return k, false
}
