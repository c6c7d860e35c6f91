package policy

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRewritePrincipals(t *testing.T) {
	ids := map[string]string{
		"arn:aws:iam::123456789012:user/mira": "AIDAMIRAMIRAMIRAMIRA1",
		"arn:aws:iam::123456789012:role/a":    "AROAAAAAAAAAAAAAAAAA1",
		"x":                                   `<"\é`,
		"same":                                "same",
	}
	rewrite := func(principal string) (string, bool) {
		id, ok := ids[principal]
		return id, ok
	}
	tests := []struct{ name, document, want string }{
		{"one", `{"Statement":{"Principal":{"AWS":"arn:aws:iam::123456789012:user/mira"}}}`, `{"Statement":{"Principal":{"AWS":"AIDAMIRAMIRAMIRAMIRA1"}}}`},
		{"in a list, among others", `{"Statement":[{"Principal":{"AWS":["999999999999","arn:aws:iam::123456789012:role/a","*"]}}]}`,
			`{"Statement":[{"Principal":{"AWS":["999999999999","AROAAAAAAAAAAAAAAAAA1","*"]}}]}`},
		{"in each statement", `{"Statement":[{"Principal":{"AWS":"arn:aws:iam::123456789012:role/a"}},{"NotPrincipal":{"AWS":"arn:aws:iam::123456789012:role/a"}}]}`,
			`{"Statement":[{"Principal":{"AWS":"AROAAAAAAAAAAAAAAAAA1"}},{"NotPrincipal":{"AWS":"AROAAAAAAAAAAAAAAAAA1"}}]}`},
		{"with white space and escapes", "\n{ \"Id\":\"\\u0041\\/\",\t\"Statement\" : [ {\"Sid\":\"a\\\"}\" , \"Princip\\u0061l\" :\r\n{ \"AWS\" : [ \"arn:aws:iam::123456789012:role\\/a\" , \"\\u0042\" ] } } ] }\n",
			"\n{ \"Id\":\"\\u0041\\/\",\t\"Statement\" : [ {\"Sid\":\"a\\\"}\" , \"Princip\\u0061l\" :\r\n{ \"AWS\" : [ \"AROAAAAAAAAAAAAAAAAA1\" , \"\\u0042\" ] } } ] }\n"},
		{"what needs escapes", `{"Statement":{"Principal":{"AWS":"x"}}}`, `{"Statement":{"Principal":{"AWS":"<\"\\é"}}}`},
		{"what stays the same stays as it is written", `{"Statement":{"Principal":{"AWS":"s\u0061me"}}}`, `{"Statement":{"Principal":{"AWS":"s\u0061me"}}}`},
		{"other keys", `{"Statement":{"Principal":{"Service":"x","Federated":["x"],"AWS":"y"}}}`, `{"Statement":{"Principal":{"Service":"x","Federated":["x"],"AWS":"y"}}}`},
		{"other elements", `{"Id":"x","Statement":{"Sid":"x","Condition":{"ArnLike":{"AWS":"x"}},"Resource":["x"],"Principal":"x"}}`,
			`{"Id":"x","Statement":{"Sid":"x","Condition":{"ArnLike":{"AWS":"x"}},"Resource":["x"],"Principal":"x"}}`},
		{"odd shapes", `{"Statement":[1,"x",["x"],{"Principal":["x"]},{"Principal":{"AWS":{"AWS":"x"}}},{"Principal":{"AWS":[["x"],1,null,"x"]}}]}`,
			`{"Statement":[1,"x",["x"],{"Principal":["x"]},{"Principal":{"AWS":{"AWS":"x"}}},{"Principal":{"AWS":[["x"],1,null,"<\"\\é"]}}]}`},
		{"no object", `["Statement"]`, `["Statement"]`},
		{"nothing at all in it", `{}`, `{}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := RewritePrincipals([]byte(test.document), rewrite)
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v\nwant %s", got, err, test.want)
			}
		})
	}
	for _, text := range []string{"", "{", `{"a":1}x`, `{"a":1,"a":2}`, strings.Repeat("[", 9) + strings.Repeat("]", 9), `"` + strings.Repeat("a", MaxDocument) + `"`} {
		if got, err := RewritePrincipals([]byte(text), rewrite); err == nil {
			t.Errorf("%.20q: got %.20q", text, got)
		}
	}
}

// Ids and ARNs turn into each other and back without a trace, and what is rewritten means the same.
func TestRewritePrincipalsBackAndForth(t *testing.T) {
	to := func(s string) (string, bool) { return "id:" + s, strings.HasPrefix(s, "arn:") }
	from := func(s string) (string, bool) { return strings.CutPrefix(s, "id:") }
	rapid.Check(t, func(t *rapid.T) {
		text, _ := json.Marshal(rawJSON{"Version": version2012, "Statement": rapid.SliceOfN(drawStatement(true, effectAllow, effectDeny), 1, 4).Draw(t, "statements")})
		there, err := RewritePrincipals(text, to)
		if err != nil || strings.Contains(string(there), `"AWS":["arn:`) {
			t.Fatalf("%s became %s, %v", text, there, err)
		}
		back, err := RewritePrincipals(there, from)
		if err != nil || string(back) != string(text) {
			t.Fatalf("%s became %s, then %s, %v", text, there, back, err)
		}
	})
}
