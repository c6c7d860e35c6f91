package organizations

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/organization"
)

// numbers reads a list of ten entries.
func numbers(after string, n int) ([]string, error) {
	var all []string
	for i := range 10 {
		all = append(all, fmt.Sprint(i))
	}
	at, found := slices.BinarySearch(all, after)
	if found {
		at++
	}
	return all[at:min(at+n, len(all))], nil
}

func same(s string) string { return s }

func TestPages(t *testing.T) {
	for _, size := range []int64{1, 3, 9, 10, 20} {
		var all []string
		next := ""
		for pages := 0; pages == 0 || next != ""; pages++ {
			page, more, err := paged("list", next, &size, same, numbers)
			if err != nil || len(page) == 0 || len(page) > int(size) || pages > 10 {
				t.Fatalf("page %d of %d: %q, %v", pages, size, page, err)
			}
			all, next = append(all, page...), more
		}
		if want, _ := numbers("", 10); cmp.Diff(want, all) != "" {
			t.Errorf("by %d: %q", size, all)
		}
	}
}

func TestForeignTokens(t *testing.T) {
	size := int64(3)
	_, next, err := paged("list", "", &size, same, numbers)
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	for what, token := range map[string]string{
		"another list": next, "no base64": "*", "no JSON": base64.RawURLEncoding.EncodeToString([]byte("x")), "too long": string(make([]byte, awsapi.MaxPageToken+1)),
	} {
		list := "other"
		if what != "another list" {
			list = "list"
		}
		_, _, err := paged(list, token, nil, same, numbers)
		var refused *organization.Error
		if !errors.As(err, &refused) || refused.Code != organization.InvalidInput || refused.Reason != "INVALID_PAGINATION_TOKEN" {
			t.Errorf("%s: %v", what, err)
		}
	}
}
