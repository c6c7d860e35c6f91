package clients_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

func TestSkopeo(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.CreateRepository("team/skopeo")
	s.feed(t, s.password(t), "skopeo", "login", "--tls-verify=false", "--username", "AWS", "--password-stdin", s.host)
	repository := "docker://" + s.host + "/team/skopeo"
	all := layouts(t)

	for _, l := range all {
		t.Run(l.name(), func(t *testing.T) {
			s.run(t, "skopeo", "copy", "--quiet", "--all", "--preserve-digests", "--dest-tls-verify=false", "oci:"+l.dir+":"+l.tag, repository+":"+l.tag)
			s.holds(t, "team/skopeo", l)
			raw := s.run(t, "skopeo", "inspect", "--raw", "--tls-verify=false", repository+":"+l.tag)
			if coffertest.Digest([]byte(raw)) != l.root.Digest {
				t.Errorf("inspect --raw gives another manifest: %s", raw)
			}
			back := filepath.Join(t.TempDir(), l.name())
			s.run(t, "skopeo", "copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false", repository+"@"+l.root.Digest, "oci:"+back+":"+l.tag)
			sameLayout(t, l, openLayout(t, back, l.tag))
		})
	}

	hello := all[0]
	var inspected struct {
		Digest       string
		RepoTags     []string
		Architecture string
		Layers       []string
	}
	decode(t, s.run(t, "skopeo", "inspect", "--tls-verify=false", repository+":"+hello.tag), &inspected)
	var layers []string
	image, _ := hello.image(t)
	for _, l := range image.Layers {
		layers = append(layers, l.Digest)
	}
	if diff := cmp.Diff([]any{hello.root.Digest, tags(all), layers}, []any{inspected.Digest, inspected.RepoTags, inspected.Layers}); diff != "" {
		t.Errorf("inspect (-want +got):\n%s", diff)
	}

	// Deleting goes by the digest that the tag points to.
	s.run(t, "skopeo", "delete", "--tls-verify=false", repository+":"+hello.tag)
	var listed struct{ Tags []string }
	decode(t, s.run(t, "skopeo", "list-tags", "--tls-verify=false", repository), &listed)
	if diff := cmp.Diff(tags(all[1:]), listed.Tags); diff != "" {
		t.Errorf("list-tags after a delete (-want +got):\n%s", diff)
	}
	s.refuse(t, []string{"manifest unknown"}, "skopeo", "inspect", "--tls-verify=false", repository+":"+hello.tag)
	s.refuse(t, []string{"The repository with name 'team/none' does not exist in the registry with id '123456789012'"},
		"skopeo", "copy", "--dest-tls-verify=false", "oci:"+hello.dir+":"+hello.tag, "docker://"+s.host+"/team/none:1")
	s.refuse(t, []string{"unauthorized"}, "skopeo", "inspect", "--tls-verify=false", "--creds", "AWS:wrong", repository+":"+all[1].tag)
}

// decode reads JSON that a client prints.
func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}
