package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSize(t *testing.T) {
	for text, want := range map[string]int{
		"":                                  0,
		" \t\r\n":                           0,
		`{}`:                                2,
		" { \n } ":                          2,
		`{"a b":"c\t d"}`:                   15,
		`{"a" : [ 1 , true ] }`:             14,
		`{"a":"\" { "}`:                     13,
		`{"Sid":"é ü"}`:                     13,
		"\"a\u00a0b\"":                      5,
		"{\"a\":\"b":                        7, // what is no document has a size too
		`{"a":"b\`:                          8,
		"\"a\nb\"\n":                        5,
		statements(`{"Effect":"Allow"}`):    len(statements(`{"Effect":"Allow"}`)),
		"{ \"Version\": \"2012-10-17\" }\n": 24,
	} {
		if got := Size([]byte(text)); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

// Each quota allows what just fits, however much white space there is.
func TestQuotas(t *testing.T) {
	document := func(size int) []byte { return []byte(" {\n} " + strings.Repeat("x", size-2)) }
	inline := func(owner string) func([]byte) error {
		return func(d []byte) error { return CheckInlineSize(owner, "Mira", document(2), d) }
	}
	for _, test := range []struct {
		quota   int
		check   func([]byte) error
		message string
	}{
		{QuotaManaged, CheckManagedSize, "Cannot exceed quota for PolicySize: 6144"},
		{QuotaTrust, CheckTrustSize, "Cannot exceed quota for ACLSizePerRole: 2048"},
		{QuotaUser - 2, inline("user"), "Maximum policy size of 2048 bytes exceeded for user Mira"},
		{QuotaGroup - 2, inline("group"), "Maximum policy size of 5120 bytes exceeded for group Mira"},
		{QuotaRole - 2, inline("role"), "Maximum policy size of 10240 bytes exceeded for role Mira"},
	} {
		if err := test.check(document(test.quota)); err != nil {
			t.Errorf("what fits: %v", err)
		}
		var oversize *OversizeError
		if err := test.check(document(test.quota + 1)); !errors.As(err, &oversize) || fmt.Sprint(err) != test.message {
			t.Errorf("got %v, want %s", err, test.message)
		}
	}
	if CheckInlineSize("user", "Mira") != nil {
		t.Error("no policies at all are too large")
	}
}
