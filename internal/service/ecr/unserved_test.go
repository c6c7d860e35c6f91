package ecr_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An operation of ECR that is not served yet says so, by name.
func TestOperationsThatAreNotServed(t *testing.T) {
	w := start(t)
	service := w.Services[0]
	if service.Model.Name != "ecr" {
		t.Fatalf("the first service is %s", service.Model.Name)
	}
	served := service.Served()
	var called []string
	for _, name := range slices.Sorted(maps.Keys(service.Model.Operations)) {
		if slices.Contains(served, name) {
			continue
		}
		called = append(called, name)
		r := w.ECR(name, struct{}{})
		if want := "The operation " + name + " is not available on this server."; r.Status != http.StatusBadRequest || r.Code() != "UnknownOperationException" || r.Message() != want {
			t.Errorf("%s: status %d: %s", name, r.Status, r.Body)
		}
	}
	if len(called)+len(served) != 58 || len(called) == 0 {
		t.Errorf("%d operations are served, %d are not", len(served), len(called))
	}
	var recorded []string
	for _, r := range w.Trail() {
		if r.ErrorCode == "UnknownOperationException" {
			recorded = append(recorded, r.ErrorMessage)
		}
	}
	var want []string
	for _, name := range called {
		want = append(want, "The operation "+name+" is not available on this server.")
	}
	slices.Sort(recorded)
	if diff := cmp.Diff(want, recorded); diff != "" {
		t.Errorf("the trail: -want +got\n%s", diff)
	}
}
