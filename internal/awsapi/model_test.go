package awsapi

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every pattern of the models is understood; of one that isn't, no value would be right.
func TestPatternsOfModelsAreUnderstood(t *testing.T) {
	models, err := filepath.Glob("../../api/*.json")
	if err != nil || len(models) == 0 {
		t.Fatal(models, err)
	}
	for _, model := range models {
		text, err := os.ReadFile(model)
		if err != nil {
			t.Fatal(err)
		}
		var read struct {
			Shapes map[string]struct{ Pattern string }
		}
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		for name, shape := range read.Shapes {
			if _, err := compilePattern(shape.Pattern); err != nil {
				t.Errorf("%s, %s: %v", filepath.Base(model), name, err)
			}
		}
	}
}

// An alias of an account has no two hyphens in a row, which the model says with a look-ahead.
func TestPatternWithLookahead(t *testing.T) {
	s := Shape{Pattern: `^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`}
	for text, want := range map[string]bool{
		"abc": true, "a-c": true, "example-corp-1": true, strings.Repeat("a", 63): true,
		"a": false, "a--c": false, "-ab": false, "ab-": false, "a_c": false, "Abc": false, "": false,
	} {
		if s.Matches([]byte(text)) != want {
			t.Errorf("%q: want %v", text, want)
		}
	}
}
