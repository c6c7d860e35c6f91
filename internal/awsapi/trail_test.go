package awsapi

import (
	"encoding/json"
	"testing"
	"time"
)

type trailPart struct {
	Key   string `json:"Key"`
	Value string `json:"Value,omitempty"`
}

type trailInput struct {
	RoleARN  string            `json:"RoleArn"`
	Parts    []trailPart       `json:"Parts,omitzero"`
	One      *trailPart        `json:"One,omitempty"`
	Map      map[string]string `json:"Map,omitzero"`
	Seconds  *int64            `json:"Seconds,omitempty"`
	Blob     []byte            `json:"Blob,omitzero"`
	At       Time              `json:"At"`
	Hidden   string            `json:"-"`
	lower    string
	Unnamed  bool
	Anything any `json:"Anything,omitempty"`
}

// Names begin with small letters in the trail, whatever the model has, and keys of maps stay.
func TestTrailNames(t *testing.T) {
	large := &Operation{Input: &Shape{Members: []Member{{Name: "roleArn"}, {Name: "Parts"}}}}
	seconds := int64(900)
	v := trailInput{RoleARN: "a", Parts: []trailPart{{"k", "v"}, {Key: "l"}}, One: &trailPart{Key: "m"}, Map: map[string]string{"Team": "x"}, Seconds: &seconds,
		Blob: []byte("b"), At: NewTime(time.Unix(1, 0)), Hidden: "h", lower: "l", Anything: trailPart{Key: "n"}}
	got, err := trailWriter(large)(&v)
	const want = `{"anything":{"key":"n"},"at":1,"blob":"Yg==","map":{"Team":"x"},"one":{"key":"m"},"parts":[{"key":"k","value":"v"},{"key":"l"}],"roleArn":"a","seconds":900,"unnamed":false}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, error %v\nwant %s", got, err, want)
	}
	for name, empty := range map[string]any{"nil": nil, "a nil pointer": (*trailInput)(nil), "an empty structure": struct{}{}} {
		if got, err := trailWriter(large)(empty); got != nil || err != nil {
			t.Errorf("%s: %s, error %v", name, got, err)
		}
	}
}

// Those of models that have them small are written as they are, in the model's order.
func TestTrailOfSmallNames(t *testing.T) {
	small := &Operation{Input: &Shape{Members: []Member{{Name: "repositoryName"}}}}
	got, err := trailWriter(small)(struct {
		Z string `json:"z"`
		A string `json:"a"`
	}{"1", "2"})
	if err != nil || string(got) != `{"z":"1","a":"2"}` {
		t.Errorf("got %s, error %v", got, err)
	}
	if got, err := trailWriter(&Operation{})(json.RawMessage(`{}`)); got != nil || err != nil {
		t.Errorf("got %s, error %v", got, err)
	}
}
