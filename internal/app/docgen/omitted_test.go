package main

import (
	"slices"
	"testing"
)

// What is left out of a service for good has its reason, and no reason is left over.
func TestOmissionsHaveReasons(t *testing.T) {
	for _, s := range services() {
		name := s.Model.Name
		used := map[string]bool{}
		for operation := range s.Model.Operations {
			if slices.Contains(s.Served(), operation) {
				continue
			}
			why := whyOmitted(name, operation)
			if used[why] = true; why == "" && omissions[name] != nil {
				t.Errorf("%s: no reason why %s is not served", name, operation)
			}
		}
		for _, o := range omissions[name] {
			if !used[o.why] {
				t.Errorf("%s: nothing is left out because %s", name, o.why)
			}
		}
	}
}
