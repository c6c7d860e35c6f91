package main

import (
	"os/exec"
	"testing"

	"pgregory.net/rapid"
)

// Whatever a text is, a shell reads it back from its quoted form, and from its form as a word.
func TestShellQuoting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zA-Z0-9 '"$\\!*?~;&|<>(){}\[\]\n#=/.+-]{0,20}`).Draw(t, "text")
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(text)+"; printf %s "+shellWord(text)).CombinedOutput()
		if err != nil || string(out) != text+text {
			t.Fatalf("%q is read back as %q, %v", text, out, err)
		}
	})
}

func TestShellWord(t *testing.T) {
	for text, want := range map[string]string{
		"./coffer-data": "./coffer-data", "/srv/coffer_1": "/srv/coffer_1", "": "''", "a b": "'a b'", "it's": `'it'\''s'`,
		"$HOME": "'$HOME'", "~": "'~'", "é": "'é'",
	} {
		if got := shellWord(text); got != want {
			t.Errorf("%q becomes %s, want %s", text, got, want)
		}
	}
}
