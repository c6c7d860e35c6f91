package clients_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// shellBlock is a block of a document that its reader types.
var shellBlock = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")

// The commands of docs/access.md work as typed, one after the other in one shell.
func TestAccessDocument(t *testing.T) {
	t.Parallel()
	s := serve(t, ownCredentials)
	for name, target := range map[string]string{"coffer": built.coffer, "coffer-data": s.data} {
		if err := os.Symlink(target, filepath.Join(s.home, name)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "access.md"))
	if err != nil {
		t.Fatal(err)
	}
	script := "set -eu\n"
	for _, block := range shellBlock.FindAllStringSubmatch(string(text), -1) {
		script += block[1]
	}
	out := s.run(t, "bash", "-c", script)
	for _, want := range []string{"AKIA", "implicitDeny", "staging", "arn:aws:iam::123456789012:role/nodes"} {
		if !strings.Contains(out, want) {
			t.Errorf("it prints no %q:\n%s", want, out)
		}
	}
}
