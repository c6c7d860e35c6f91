package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
)

// model is a file of the folder api.
type model struct {
	Metadata struct {
		APIVersion     string
		Protocol       string
		TargetPrefix   string
		SigningName    string
		EndpointPrefix string
		XMLNamespace   string
	}
	Operations map[string]operation
	Shapes     map[string]*shape
}

type operation struct {
	Input, Output string
	ResultWrapper string
	AuthType      string
	Errors        []string
}

type shape struct {
	Type      string
	Required  []string
	Enum      []string
	Min, Max  *int64
	Pattern   string
	Sensitive bool
	Flattened bool
	Members   members
	Member    *reference
	Key       *reference
	Value     *reference

	Exception      bool
	Fault          bool
	Code           string
	HTTPStatusCode int
}

// members are a structure's members in their order.
type members []member

type member struct {
	Name string
	Ref  reference
}

// reference names a shape, with what is particular about its use.
type reference struct {
	Shape        string
	LocationName string
	Flattened    bool
}

// UnmarshalJSON reads an object in its order.
func (m *members) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		added := member{Name: name.(string)}
		if err := d.Decode(&added.Ref); err != nil {
			return err
		}
		*m = append(*m, added)
	}
	return nil
}

// UnmarshalJSON reads a name, or an object that says more.
func (r *reference) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &r.Shape)
	}
	type plain reference
	return json.Unmarshal(text, (*plain)(r))
}

func readModel(path string) (*model, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var m model
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return &m, nil
}

// needed returns the names of the shapes that inputs and outputs consist of, sorted. Types that contain themselves are
// refused: their tables can't be written as plain variables.
func (m *model) needed() ([]string, error) {
	seen := map[string]bool{}
	var visit func(name string, above []string) error
	visit = func(name string, above []string) error {
		if slices.Contains(above, name) {
			return fmt.Errorf("shape %s contains itself", name)
		}
		if seen[name] {
			return nil
		}
		seen[name] = true
		s := m.Shapes[name]
		if s == nil {
			return fmt.Errorf("there is no shape %s", name)
		}
		for _, part := range s.parts() {
			if err := visit(part.Shape, append(slices.Clone(above), name)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, op := range m.Operations {
		for _, name := range []string{op.Input, op.Output} {
			if name == "" {
				continue
			}
			if err := visit(name, nil); err != nil {
				return nil, err
			}
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// parts are the shapes that a shape consists of.
func (s *shape) parts() (parts []reference) {
	for _, r := range []*reference{s.Member, s.Key, s.Value} {
		if r != nil {
			parts = append(parts, *r)
		}
	}
	for _, m := range s.Members {
		parts = append(parts, m.Ref)
	}
	return parts
}

// errors returns the names of the declared errors, sorted.
func (m *model) errors() []string {
	var names []string
	for name, s := range m.Shapes {
		if s.Exception {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// code is what a client is told for an error.
func (m *model) code(name string) string {
	if code := m.Shapes[name].Code; code != "" {
		return code
	}
	return name
}

// status is the HTTP status of an error.
func (m *model) status(name string) int {
	s := m.Shapes[name]
	switch {
	case s.HTTPStatusCode != 0:
		return s.HTTPStatusCode
	case s.Fault:
		return 500
	}
	return 400
}
