package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// The example of the AWS documentation.
const example = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

func TestNeverPrints(t *testing.T) {
	hidden := New(example)
	if hidden.Reveal() != example || (Text{}).Reveal() != "" {
		t.Fatal("it does not reveal either")
	}
	for name, v := range map[string]any{
		"secret": hidden, "pointer": &hidden, "field": struct{ S Text }{hidden}, "list": []Text{hidden},
		"map": map[string]Text{"a": hidden}, "unexported field": struct{ s Text }{hidden}, "zero": Text{},
	} {
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("a", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("a", "v", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		texts := map[string]string{"slog": log.String(), "JSON": string(text)}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%40s"} {
			texts[verb] = fmt.Sprintf(verb, v)
		}
		for how, text := range texts {
			if strings.Contains(text, "bPxRfiCY") || strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", "bPxRfiCY")) {
				t.Errorf("%s by %s: %s", name, how, text)
			}
		}
	}
	if text := fmt.Sprintf("%d", hidden); text != redacted {
		t.Error(text)
	}
}

func TestEqual(t *testing.T) {
	for _, c := range []struct {
		a, b Text
		want bool
	}{{New("a"), New("a"), true}, {New("a"), New("b"), false}, {New("a"), New("ab"), false}, {Text{}, New(""), true}, {Text{}, New("a"), false}} {
		if c.a.Equal(c.b) != c.want {
			t.Errorf("%q and %q: %v", c.a.Reveal(), c.b.Reveal(), !c.want)
		}
	}
}
