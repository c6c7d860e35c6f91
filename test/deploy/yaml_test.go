package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// node is a value of YAML, of which tests ask parts by their paths.
type node struct{ value any }

// documents are the documents of a file.
func documents(t testing.TB, text string) (all []node) {
	t.Helper()
	for d := yaml.NewDecoder(bytes.NewReader([]byte(text))); ; {
		var n node
		err := d.Decode(&n.value)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if n.value != nil {
			all = append(all, n)
		}
	}
}

// at is what is at a path such as "spec containers 0 name"; its value is nil if there is nothing.
func (n node) at(path string) node {
	for step := range strings.FieldsSeq(path) {
		switch v := n.value.(type) {
		case map[string]any:
			n = node{v[step]}
		case []any:
			var i int
			if _, err := fmt.Sscan(step, &i); err != nil || i >= len(v) {
				return node{}
			}
			n = node{v[i]}
		default:
			return node{}
		}
	}
	return n
}

// list are the members of a list.
func (n node) list() (all []node) {
	values, _ := n.value.([]any)
	for _, v := range values {
		all = append(all, node{v})
	}
	return all
}

// named is the member of a list that has a name.
func (n node) named(name string) node {
	for _, member := range n.list() {
		if member.at("name").value == name {
			return member
		}
	}
	return node{}
}

func (n node) String() string { return fmt.Sprint(n.value) }

// holds checks values by their paths, as they are printed; "<nil>" is nothing.
func (n node) holds(t testing.TB, want map[string]string) {
	t.Helper()
	for path, value := range want {
		if got := n.at(path).String(); got != value {
			t.Errorf("%s is %s, expected %s", path, got, value)
		}
	}
}
