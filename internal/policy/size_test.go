package policy

import "testing"

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
