package policy

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

func TestFormat(t *testing.T) {
	tests := []struct{ name, document, want string }{
		{"what AWS documents", `{"Version":"2008-10-17","Statement":[{"Sid":"allow public pull","Effect":"Allow","Principal":"*",` +
			`"Action":["ecr:BatchCheckLayerAvailability","ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]}]}`,
			"{\n  \"Version\" : \"2008-10-17\",\n  \"Statement\" : [ {\n    \"Sid\" : \"allow public pull\",\n    \"Effect\" : \"Allow\",\n    \"Principal\" : \"*\",\n    \"Action\" : [ \"ecr:BatchCheckLayerAvailability\", \"ecr:BatchGetImage\", \"ecr:GetDownloadUrlForLayer\" ]\n  } ]\n}"},
		{"two statements and what is nested deeper", `{"Statement":[{"Principal":{"AWS":"1"},"Condition":{"Bool":{"a:b":true}}},{"Sid":""}]}`, `{
  "Statement" : [ {
    "Principal" : {
      "AWS" : "1"
    },
    "Condition" : {
      "Bool" : {
        "a:b" : true
      }
    }
  }, {
    "Sid" : ""
  } ]
}`},
		{"a statement without a list", `{"Statement":{"Action":"ecr:*"}}`, "{\n  \"Statement\" : {\n    \"Action\" : \"ecr:*\"\n  }\n}"},
		{"empty ones", `{"a":{ },"b":[ ],"c":[{}]}`, "{\n  \"a\" : { },\n  \"b\" : [ ],\n  \"c\" : [ { } ]\n}"},
		{"scalars as they are written", `{"z":1.50e+3,"a":"\u0041\/ , : {","n":null}`, "{\n  \"z\" : 1.50e+3,\n  \"a\" : \"\\u0041\\/ , : {\",\n  \"n\" : null\n}"},
		{"a scalar alone", ` "a" `, `"a"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := Format([]byte(test.document))
			if err != nil || string(got) != test.want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
	if got, err := Format([]byte(`{"a":}`)); err == nil {
		t.Errorf("what is no JSON became %s", got)
	}
}

// What is formatted says the same, is as large by IAM's count, and does not change when it is formatted again.
func TestFormatChangesWhiteSpaceOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rawJSON{"Version": version2012, "Statement": rapid.SliceOfN(drawStatement(true, effectAllow, effectDeny), 0, 3).Draw(t, "statements")}
		text, _ := json.Marshal(value)
		if rapid.Bool().Draw(t, "indented") {
			text, _ = json.MarshalIndent(value, "\t", " ")
		}
		once, err := Format(text)
		if err != nil {
			t.Fatal(err)
		}
		var before, after bytes.Buffer
		if json.Compact(&before, text) != nil || json.Compact(&after, once) != nil || before.String() != after.String() || Size(text) != Size(once) {
			t.Fatalf("%s became %s", text, once)
		}
		if twice, _ := Format(once); !bytes.Equal(once, twice) {
			t.Fatalf("%s became %s", once, twice)
		}
	})
}
