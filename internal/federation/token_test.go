package federation

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/federation/federationtest"
	"github.com/coffer-registry/coffer/internal/secret"
)

func TestRefusedClaims(t *testing.T) {
	h := newHouse(t)
	now := h.clock.now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	for what, c := range map[string]struct {
		claims   map[string]any
		code     Code
		sentence string
	}{
		"of another issuer":     {map[string]any{"iss": "https://other.example.com"}, InvalidIdentityToken, "Issuer of the token"},
		"a slash more":          {map[string]any{"iss": h.issuer.URL + "/"}, InvalidIdentityToken, "Issuer of the token"},
		"no issuer":             {map[string]any{"iss": nil}, InvalidIdentityToken, "Issuer of the token"},
		"another audience":      {map[string]any{"aud": "somebody"}, InvalidIdentityToken, "Incorrect token audience"},
		"audience of case":      {map[string]any{"aud": "COFFER"}, InvalidIdentityToken, "Incorrect token audience"},
		"empty audience":        {map[string]any{"aud": ""}, InvalidIdentityToken, "Incorrect token audience"},
		"no audience":           {map[string]any{"aud": nil}, InvalidIdentityToken, "Missing a required claim: aud"},
		"no audiences":          {map[string]any{"aud": []string{}}, InvalidIdentityToken, "Missing a required claim: aud"},
		"audience of a number":  {map[string]any{"aud": []any{"coffer", 1}}, InvalidIdentityToken, sentenceJWT},
		"audience of an object": {map[string]any{"aud": map[string]any{}}, InvalidIdentityToken, sentenceJWT},
		"another party":         {map[string]any{"azp": "somebody"}, InvalidIdentityToken, "Incorrect token audience"},
		"party of a list":       {map[string]any{"azp": []string{"coffer"}}, InvalidIdentityToken, sentenceJWT},
		"no subject":            {map[string]any{"sub": nil}, InvalidIdentityToken, "Missing a required claim: sub"},
		"empty subject":         {map[string]any{"sub": ""}, InvalidIdentityToken, "Missing a required claim: sub"},
		"subject of a number":   {map[string]any{"sub": 1}, InvalidIdentityToken, "Missing a required claim: sub"},
		"long subject":          {map[string]any{"sub": strings.Repeat("a", maxSubject+1)}, InvalidIdentityToken, sentenceJWT},
		"many audiences":        {map[string]any{"aud": append(make([]string, maxTexts), "coffer")}, InvalidIdentityToken, sentenceJWT},
		"long method":           {map[string]any{"amr": []string{strings.Repeat("a", maxText)}}, InvalidIdentityToken, sentenceJWT},
		"expired": {map[string]any{"exp": at(0)}, ExpiredToken,
			fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), now.Unix())},
		"long expired":       {map[string]any{"exp": at(-time.Hour)}, ExpiredToken, "Token expired"},
		"no expiry":          {map[string]any{"exp": nil}, InvalidIdentityToken, "Missing a required claim: exp"},
		"expiry of a text":   {map[string]any{"exp": "never"}, InvalidIdentityToken, sentenceJWT},
		"expiry of no year":  {map[string]any{"exp": 1e300}, InvalidIdentityToken, sentenceJWT},
		"negative expiry":    {map[string]any{"exp": -1}, InvalidIdentityToken, sentenceJWT},
		"no time of issue":   {map[string]any{"iat": nil}, InvalidIdentityToken, "Missing a required claim: iat"},
		"of the future":      {map[string]any{"iat": at(clockSkew + time.Second)}, InvalidIdentityToken, "Token is not yet valid"},
		"begins later":       {map[string]any{"nbf": at(clockSkew + time.Second)}, InvalidIdentityToken, "Token is not yet valid"},
		"beginning of true":  {map[string]any{"nbf": true}, InvalidIdentityToken, sentenceJWT},
		"methods of numbers": {map[string]any{"amr": []int{1}}, InvalidIdentityToken, sentenceJWT},
		"tags of a list":     {map[string]any{claimTags: []string{"a"}}, InvalidIdentityToken, sentenceJWT},
		"tag of an object":   {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"a": map[string]any{}}}}, InvalidIdentityToken, sentenceJWT},
		"tag of two values":  {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"a": []string{"b", "c"}}}}, InvalidIdentityToken, sentenceJWT},
		"tag of no values":   {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"a": []string{}}}}, InvalidIdentityToken, sentenceJWT},
		"tags of a text":     {map[string]any{claimTags: map[string]any{"principal_tags": "a"}}, InvalidIdentityToken, sentenceJWT},
		"transitive number":  {map[string]any{claimTags: map[string]any{"transitive_tag_keys": 1}}, InvalidIdentityToken, sentenceJWT},
		"tag twice": {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"a": "b"}}, claimTag + "a": "c"},
			InvalidIdentityToken, sentenceJWT},
		"tag in two cases":         {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"team": "b", "Team": "c"}}}, InvalidIdentityToken, sentenceJWT},
		"tag in two scripts":       {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"id": "b", "\u0130d": "c"}}}, InvalidIdentityToken, sentenceJWT},
		"tag of AWS":               {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"AWS:team": "b"}}}, InvalidIdentityToken, sentenceJWT},
		"tag of no text":           {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"team": "\x00"}}}, InvalidIdentityToken, sentenceJWT},
		"tag that is too long":     {map[string]any{claimTags: map[string]any{"principal_tags": map[string]any{"team": strings.Repeat("x", 257)}}}, InvalidIdentityToken, sentenceJWT},
		"source identity of AWS":   {map[string]any{claimSourceIdentity: "aws:alice"}, InvalidIdentityToken, sentenceJWT},
		"long source identity":     {map[string]any{claimSourceIdentity: strings.Repeat("x", 65)}, InvalidIdentityToken, sentenceJWT},
		"too many tags":            {map[string]any{claimTags: map[string]any{"principal_tags": manyTags(maxTags + 1)}}, InvalidIdentityToken, sentenceJWT},
		"source identity of a map": {map[string]any{claimSourceIdentity: map[string]any{}}, InvalidIdentityToken, sentenceJWT},
	} {
		h.refuses(what, h.issuer.Mint(c.claims), c.code, c.sentence)
	}
}

func manyTags(n int) map[string]string {
	tags := map[string]string{}
	for i := range n {
		tags[fmt.Sprint("k", i)] = "v"
	}
	return tags
}

func TestAcceptedClaims(t *testing.T) {
	h := newHouse(t)
	now := h.clock.now()
	for what, claims := range map[string]map[string]any{
		"clocks that differ":   {"iat": now.Add(clockSkew).Unix(), "nbf": now.Add(clockSkew).Unix()},
		"about to end":         {"exp": now.Add(time.Second).Unix()},
		"fractions":            {"iat": float64(now.Unix()) - 0.5},
		"as many tags as can":  {claimTags: map[string]any{"principal_tags": manyTags(maxTags)}},
		"claims that are deep": {"realm_access": map[string]any{"roles": []string{"a"}}},
	} {
		h.accepts(what, h.issuer.Mint(claims))
	}
	key := strings.TrimPrefix(h.issuer.URL, "https://")
	for what, c := range map[string]struct {
		claims             map[string]any
		aud, oaud          []string
		tags               map[string]string
		transitive, method []string
	}{
		"party":       {claims: map[string]any{"aud": "backend", "azp": "other"}, aud: []string{"other"}, oaud: []string{"backend"}},
		"audiences":   {claims: map[string]any{"aud": []string{"x", "other", "coffer"}}, aud: []string{"other", "coffer"}, oaud: []string{"x", "other", "coffer"}},
		"flat tags":   {claims: map[string]any{claimTag + "Team": "a", claimTransitive: []string{"Team"}}, aud: []string{"coffer"}, oaud: []string{"coffer"}, tags: map[string]string{"Team": "a"}, transitive: []string{"Team"}},
		"method":      {claims: map[string]any{"amr": "pwd"}, aud: []string{"coffer"}, oaud: []string{"coffer"}, method: []string{"pwd"}},
		"no tags yet": {claims: map[string]any{claimTags: map[string]any{}}, aud: []string{"coffer"}, oaud: []string{"coffer"}},
	} {
		got := h.accepts(what, h.issuer.Mint(c.claims))
		if got.Audience != c.aud[0] || !cmp.Equal(got.Keys[key+":aud"], c.aud) || !cmp.Equal(got.TrustKeys[key+":oaud"], c.oaud) ||
			!cmp.Equal(got.Tags, c.tags) || !cmp.Equal(got.TransitiveTagKeys, c.transitive) || !cmp.Equal(got.Keys[key+":amr"], c.method) {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

// Every single bit of a token counts.
func TestAlteredToken(t *testing.T) {
	h := newHouse(t)
	token := h.issuer.Mint(nil).Reveal()
	parts := strings.Split(token, ".")
	for n, part := range parts {
		data, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			t.Fatal(err)
		}
		for i := range data {
			data[i] ^= 1 << (i % 8)
			altered := append([]string{}, parts...)
			altered[n] = base64.RawURLEncoding.EncodeToString(data)
			if _, err := h.verify(secret.New(strings.Join(altered, "."))); err == nil {
				t.Errorf("byte %d of part %d", i, n)
			}
			data[i] ^= 1 << (i % 8)
		}
	}
	h.accepts("as it was", secret.New(token))
}

// part is one part of a token.
func part(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

func TestMalformedToken(t *testing.T) {
	h := newHouse(t)
	good := h.issuer.Mint(nil).Reveal()
	parts := strings.Split(good, ".")
	claims := fmt.Sprintf(`{"iss":%q,"sub":"alice","aud":"coffer","iat":%d,"exp":%d`, h.issuer.URL, h.clock.now().Unix(), h.clock.now().Add(time.Hour).Unix())
	for what, text := range map[string]string{
		"nothing":           "",
		"no token":          "a",
		"two parts":         parts[0] + "." + parts[1],
		"four parts":        good + ".",
		"encrypted":         good + ".a.b",
		"no signature":      parts[0] + "." + parts[1] + ".",
		"line breaks":       parts[0] + "." + parts[1][:4] + "\n" + parts[1][4:] + "." + parts[2],
		"padding":           parts[0] + "." + parts[1] + "=." + parts[2],
		"space":             " " + good,
		"JSON form":         `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"too long":          good + strings.Repeat("A", maxToken),
		"no algorithm":      part(`{"typ":"JWT"}`) + "." + parts[1] + "." + parts[2],
		"none":              part(`{"alg":"none"}`) + "." + parts[1] + ".",
		"None":              part(`{"alg":"None"}`) + "." + parts[1] + "." + parts[2],
		"EdDSA":             part(`{"alg":"EdDSA"}`) + "." + parts[1] + "." + parts[2],
		"critical":          part(`{"alg":"ES256","crit":["x"],"x":1,"kid":"`+h.issuer.Key().ID+`"}`) + "." + parts[1] + "." + parts[2],
		"not encoded":       part(`{"alg":"ES256","b64":false,"kid":"`+h.issuer.Key().ID+`"}`) + "." + parts[1] + "." + parts[2],
		"algorithm twice":   part(`{"alg":"ES256","alg":"ES256"}`) + "." + parts[1] + "." + parts[2],
		"header of a list":  part(`[]`) + "." + parts[1] + "." + parts[2],
		"claims of a text":  h.issuer.Key().Sign(t, []byte(`"a"`)).Reveal(),
		"claims twice":      h.issuer.Key().Sign(t, []byte(claims+`,"sub":"bob"}`)).Reveal(),
		"more than an end":  h.issuer.Key().Sign(t, []byte(claims+`}{}`)).Reveal(),
		"no text of UTF-8":  h.issuer.Key().Sign(t, []byte(claims+",\"a\":\"\xff\"}")).Reveal(),
		"claims too deep":   h.issuer.Key().Sign(t, []byte(claims+`,"a":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+"}")).Reveal(),
		"key in the header": part(`{"alg":"ES256","jwk":{"kty":"EC","crv":"P-256","x":"`+part("x")+`","y":"`+part("y")+`"}}`) + "." + parts[1] + "." + parts[2],
	} {
		h.refuses(what, secret.New(text), InvalidIdentityToken, sentenceJWT)
	}
}

// A key counts only for the algorithms of its type.
func TestAlgorithmConfusion(t *testing.T) {
	h := newHouse(t)
	rsa, ec := federationtest.NewKey(t, jose.RS256), federationtest.NewKey(t, jose.ES256)
	h.issuer.Publish(rsa, ec)
	public := rsa.Public()
	der, err := x509.MarshalPKIXPublicKey(public.Key)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := public.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string][]byte{"DER": der, "PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), "JWK": jwk} {
		for _, a := range []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512} {
			h.refuses(what, h.issuer.MintWith(&federationtest.Key{ID: rsa.ID, Algorithm: a, Private: append(secret, make([]byte, 64)...)}, nil),
				InvalidIdentityToken, sentenceJWT)
		}
	}
	for what, k := range map[string]*federationtest.Key{
		"another algorithm than the key's": {ID: rsa.ID, Algorithm: jose.RS512, Private: rsa.Private},
		"PSS for PKCS #1":                  {ID: rsa.ID, Algorithm: jose.PS256, Private: rsa.Private},
		"RSA by the name of EC":            {ID: ec.ID, Algorithm: jose.RS256, Private: rsa.Private},
		"EC by the name of RSA":            {ID: rsa.ID, Algorithm: jose.ES256, Private: ec.Private},
		"another curve":                    {ID: ec.ID, Algorithm: jose.ES384, Private: federationtest.NewKey(t, jose.ES384).Private},
		"no name":                          {Algorithm: jose.ES512, Private: federationtest.NewKey(t, jose.ES512).Private},
	} {
		h.refuses(what, h.issuer.MintWith(k, nil), InvalidIdentityToken, sentenceKey)
	}
	// Their own keys do.
	h.refuses("somebody's key by the name of the provider's", h.issuer.MintWith(&federationtest.Key{ID: ec.ID, Algorithm: jose.ES256,
		Private: federationtest.NewKey(t, jose.ES256).Private}, nil), InvalidIdentityToken, sentenceJWT)
	h.accepts("no name where only one fits", h.issuer.MintWith(&federationtest.Key{Algorithm: jose.ES256, Private: ec.Private}, nil))
	h.issuer.Publish(ec, federationtest.NewKey(t, jose.ES256))
	h.clock.advance(keysFresh)
	h.refuses("no name where two fit", h.issuer.MintWith(&federationtest.Key{Algorithm: jose.ES256, Private: ec.Private}, nil), InvalidIdentityToken, sentenceKey)
}

func TestIssuer(t *testing.T) {
	i := federationtest.NewPlainIssuer(t)
	if got, err := Issuer(i.Mint(nil)); err != nil || got != i.URL {
		t.Errorf("%s, %v", got, err)
	}
	_, err := Issuer(i.Mint(map[string]any{"iss": 1}))
	wantRefusal(t, "no issuer", err, InvalidIdentityToken, "Missing a required claim: iss")
	_, err = Issuer(secret.New("a.b.c"))
	wantRefusal(t, "no token", err, InvalidIdentityToken, sentenceJWT)
}

// Whatever it is, it is refused and breaks nothing.
func FuzzToken(f *testing.F) {
	for _, text := range []string{"", "a.b.c", part(`{"alg":"ES256","kid":"a"}`) + "." + part(`{"iss":"https://a.example.com","exp":1e400,"aud":["a"]}`) + ".AAAA"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseToken(text)
		if err != nil {
			wantRefusal(t, text, err, InvalidIdentityToken, sentenceJWT)
			return
		}
		k.verifyTimes(time.Unix(0, 0))
		k.claims(OIDCProvider{URL: "https://a.example.com", ClientIDs: []string{"a"}})
		if err := k.verifySignature(&keySet{}); err == nil {
			t.Error("it is signed by nobody")
		}
	})
}

func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"keys":[]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := parseKeys(data)
		if err != nil {
			return
		}
		if n := len(set.keys) + len(set.refused); n > 2*maxKeys {
			t.Errorf("%d keys", n)
		}
		for _, k := range set.keys {
			if !k.IsPublic() {
				t.Error("a key that is not public")
			}
		}
	})
}
