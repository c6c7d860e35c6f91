package awsapi_test

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/coffer-registry/coffer/internal/awsapi"
)

func TestTime(t *testing.T) {
	for _, test := range []struct {
		ms        int64
		json, iso string
	}{
		{1448875853241, "1448875853.241", "2015-11-30T09:30:53.241Z"},
		{1448875853000, "1448875853", "2015-11-30T09:30:53Z"},
		{1448875853200, "1448875853.2", "2015-11-30T09:30:53.2Z"},
		{1448875853007, "1448875853.007", "2015-11-30T09:30:53.007Z"},
		{0, "0", "1970-01-01T00:00:00Z"},
		{-500, "-0.5", "1969-12-31T23:59:59.5Z"},
		{-62135596800000, "-62135596800", "0001-01-01T00:00:00Z"},
		{253402300799999, "253402300799.999", "9999-12-31T23:59:59.999Z"},
	} {
		at := awsapi.NewTime(time.UnixMilli(test.ms))
		text, err := json.Marshal(at)
		if err != nil || string(text) != test.json {
			t.Errorf("%d: JSON is %s, %v, want %s", test.ms, text, err, test.json)
		}
		if at.String() != test.iso {
			t.Errorf("%d: ISO 8601 is %s, want %s", test.ms, at, test.iso)
		}
		for _, form := range []string{test.json, `"` + test.iso + `"`} {
			var back awsapi.Time
			if err := json.Unmarshal([]byte(form), &back); err != nil || !back.Equal(at) {
				t.Errorf("%s reads as %v, %v", form, back, err)
			}
		}
	}
}

func TestTimeForms(t *testing.T) {
	for form, ms := range map[string]int64{
		`1.448875853241e9`: 1448875853241, `"2015-11-30T10:30:53+01:00"`: 1448875853000, `"2015-11-30T09:30:53.2419Z"`: 1448875853241,
	} {
		var at awsapi.Time
		if err := json.Unmarshal([]byte(form), &at); err != nil || at.Time().UnixMilli() != ms {
			t.Errorf("%s reads as %v, %v", form, at, err)
		}
	}
	for _, form := range []string{`true`, `""`, `"1448875853"`, `253402300800`, `-62135596801`, `1e999`, `{}`} {
		var at awsapi.Time
		if err := json.Unmarshal([]byte(form), &at); err == nil {
			t.Errorf("%s reads as %v", form, at)
		}
	}
}

func TestTimeIsCutToMilliseconds(t *testing.T) {
	at := awsapi.NewTime(time.Unix(1, 1_999_999).In(time.FixedZone("", 3600)))
	if at.Time() != time.UnixMilli(1001).UTC() {
		t.Errorf("got %v", at.Time())
	}
	if at.IsZero() || !(awsapi.Time{}).IsZero() {
		t.Error("only the zero Time is zero")
	}
}

func TestTimeSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := awsapi.NewTime(time.UnixMilli(rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, "ms")))
		text, err := json.Marshal(at)
		if err != nil {
			t.Fatal(err)
		}
		var back awsapi.Time
		if err := json.Unmarshal(text, &back); err != nil || !back.Equal(at) {
			t.Fatalf("%v became %s and then %v, %v", at, text, back, err)
		}
	})
}
