package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// FuzzParse feeds any text as a document of any kind. What Parse accepts it must understand whole; what it refuses has a
// sentence; and Load takes everything.
func FuzzParse(f *testing.F) {
	f.Add(uint8(KindIdentity), []byte(allow(`"Condition":{"StringEquals":{"aws:username":"${aws:username, 'a'}"}}`)))
	f.Add(uint8(KindTrust), []byte(trusting(`"Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"`)))
	f.Add(uint8(KindRepository), []byte(trusting(`"Principal":"*","Action":["ecr:*"]`)))
	f.Add(uint8(KindEndpoint), []byte(`{"Statement":[{"Effect":"Deny","NotPrincipal":{"Service":"a.amazonaws.com"},"NotAction":"*","NotResource":"arn:aws:s3:::*"}]}`))
	f.Add(uint8(KindRCP), []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}]}`))
	f.Fuzz(func(t *testing.T, kind uint8, document []byte) {
		k := Kind(kind % uint8(len(grammars)))
		p, err := Parse(k, document, Options{Resource: "arn:aws:ecr:us-east-1:123456789012:repository/app"})
		loaded, loadErr := Load(k, document, Options{})
		if loaded == nil {
			t.Fatal("Load returned nothing")
		}
		if err == nil {
			if loadErr != nil {
				t.Fatalf("accepted, but not loaded: %v", loadErr)
			}
			for _, s := range p.statements {
				if s.brokenResource || s.brokenPrincipal || s.brokenCondition {
					t.Fatalf("statement %d was not understood", s.number)
				}
			}
			return
		}
		var malformed *MalformedError
		if !errors.As(err, &malformed) || malformed.Message == "" || malformed.Detail == "" {
			t.Fatalf("refused with %v", err)
		}
	})
}

// FuzzEvaluate decides by any two documents. Nothing may panic, no document that can't be read may allow, and a policy that
// denies everything always does.
func FuzzEvaluate(f *testing.F) {
	f.Add([]byte(allow(`"Action":"ecr:*"`)), []byte(trusting(`"Principal":"*","Action":"ecr:*"`)), "ecr:PutImage", "arn:aws:ecr:us-east-1:123456789012:repository/app", "aws:username", "mira")
	f.Add([]byte(allow(`"Condition":{"ArnLike":{"a:b":"${a:b}"}}`)), []byte(`{`), "sts:AssumeRole", "arn:aws:iam::123456789012:role/r", "a:b", "arn:aws:s3:::*")
	f.Add([]byte(allow(`"Condition":{"DateLessThan":{"a:b":"2026"},"IpAddress":{"a:b":"::/0"}}`)), []byte(trusting(`"NotPrincipal":"*","Action":"*"`)), "kms:Decrypt", "*", "a:b", "1")
	people := []Principal{aUser, aSession, aFederated, aRoot, aService, aProvider, anonymous}
	f.Fuzz(func(t *testing.T, identity, own []byte, action, resource, key, value string) {
		mine, mineErr := Load(KindIdentity, identity, Options{Name: "mine"})
		its, itsErr := Load(KindResource, own, Options{Name: "its"})
		about := Resource{resource, "123456789012"}
		in := Context{}
		in.Put(key, value)
		in.Put(key+"/", strings.Split(value, ",")...)
		for _, who := range people {
			r := Request{Principal: who, Questions: Ask([]string{action}, about), Context: in}
			set := PolicySet{Identity: []*Policy{mine}, Session: []*Policy{mine}, Resources: map[Resource]ResourceSet{about: {Policies: []*Policy{its}}}}
			d := Evaluate(r, set)
			if d.Reason == ReasonAlways {
				continue
			}
			if !d.Allowed && d.Message(who) == "" {
				t.Fatalf("%q was denied without a word", who.ARN)
			}
			inside := who.kind() == user || who.kind() == session || who.kind() == federated
			if d.Allowed && (inside && mineErr != nil || itsErr != nil && its.counts(strings.ToLower(action), false)) {
				t.Fatalf("%q was allowed by what can't be read: %+v", who.ARN, d)
			}
			if x := Explain(r, set); x.Decision != d || len(AuthorizationMessage(x)) > MaxAuthorizationMessage {
				t.Fatalf("%q: decided %+v, explained %+v", who.ARN, d, x)
			}
			set.Endpoint = []*Policy{denyAll(KindEndpoint, Options{})}
			if d := Evaluate(r, set); d.Allowed || !d.Explicit {
				t.Fatalf("%q was not denied: %+v", who.ARN, d)
			}
		}
	})
}

// FuzzText rewrites, formats and counts any text. What is JSON stays the same JSON, of the same size but for what was
// rewritten; what is none is refused; and what a policy mentions is in its text.
func FuzzText(f *testing.F) {
	f.Add([]byte(trusting(`"Principal":{"AWS":["arn:aws:iam::123456789012:role/a","\u0061"]},"Action":"sts:AssumeRole"`)))
	f.Add([]byte(allow(`"Resource":"arn:aws:s3:::${aws:username, 'a'}","Condition":{"StringEquals":{"a:b":["${c:d}${"]}}`)))
	f.Add([]byte("{\"Statement\":[{},\r\n[ ],{\"Principal\":{\"AWS\":{\"AWS\":\"\"}}},\"\\\\\"]}"))
	f.Add([]byte(`{"Statement":{"Principal":{"AWS":"`))
	f.Add([]byte(`"`))
	f.Add([]byte(`{"a":"\`))
	f.Add([]byte(`}]{,:`))
	f.Add([]byte(strings.Repeat(`{"a":[`, 100) + strings.Repeat(`]}`, 100)))
	f.Fuzz(func(t *testing.T, text []byte) {
		size := Size(text)
		same, err := RewritePrincipals(text, func(s string) (string, bool) { return s, true })
		formatted, formatErr := Format(text)
		if (err == nil) != (formatErr == nil) || err == nil && !json.Valid(text) {
			t.Fatalf("%v, but %v", err, formatErr)
		}
		if err != nil {
			return
		}
		if !bytes.Equal(same, text) || Size(formatted) != size {
			t.Fatalf("%q became %q and %q", text, same, formatted)
		}
		var before, after bytes.Buffer
		if json.Compact(&before, text) != nil || json.Compact(&after, formatted) != nil || !bytes.Equal(before.Bytes(), after.Bytes()) {
			t.Fatalf("%q became %q", text, formatted)
		}
		marked, err := RewritePrincipals(text, func(s string) (string, bool) { return s + "\"\n", true })
		if err != nil || !json.Valid(marked) {
			t.Fatalf("%q became %q, %v", text, marked, err)
		}
		p, _ := Load(KindTrust, text, Options{})
		for _, key := range ContextKeys(p) {
			if key != "" && !bytes.Contains(text, []byte{'\\'}) && !bytes.Contains(text, []byte(key)) {
				t.Fatalf("%q does not mention %q", text, key)
			}
		}
		Warnings(text)
	})
}
