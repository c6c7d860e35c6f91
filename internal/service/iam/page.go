package iam

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/store"
)

// defaultItems is how many entries a list answers at once unless the client says otherwise; the model allows 1,000.
const defaultItems = 100

// marker is what a Marker holds: the list that it belongs to, and the entry after which the list goes on.
type marker struct {
	List  string   `json:"l"`
	After []string `json:"a"`
}

// paging reads the Marker and the MaxItems of a list: the keys of the entry after which it goes on, nil for the beginning,
// and how many entries to answer. A list that is filtered has the filter in its name, so that no marker goes on elsewhere.
func paging(list, mark string, maxItems *int64) (after []string, n int, err error) {
	n = defaultItems
	if maxItems != nil {
		n = int(*maxItems)
	}
	if mark == "" {
		return nil, n, nil
	}
	var m marker
	if !awsapi.ReadPageToken(mark, &m) || m.List != list || len(m.After) == 0 {
		return nil, 0, iam.Errorf(iam.ValidationError, "Invalid Marker.")
	}
	return m.After, n, nil
}

// nextMarker is the Marker with which a list goes on after the entry with these keys.
func nextMarker(list string, after ...string) string {
	return awsapi.PageToken(marker{list, after})
}

// page is a page of a list as the API has it.
type page[T any] struct {
	items  []T
	more   *bool
	marker string
}

// list is a list of the API by what it reads, which is ordered by keys of some texts each.
type list[T, U any] struct {
	// name tells it from others, filters and all.
	name string
	// keys is how many keys an entry has, and keysOf says which.
	keys   int
	keysOf func(T) []string
	// read reads at most n entries after one, whose keys are empty for the beginning.
	read func(tx *store.Tx, after []string, n int) ([]T, bool, error)
	show func(T) U
}

// page reads one page.
func (l list[T, U]) page(ctx context.Context, s *iam.Store, mark string, maxItems *int64) (p page[U], err error) {
	after, n, err := paging(l.name, mark, maxItems)
	if err != nil {
		return p, err
	}
	if after == nil {
		after = make([]string, l.keys)
	}
	if len(after) != l.keys {
		return p, iam.Errorf(iam.ValidationError, "Invalid Marker.")
	}
	err = s.View(ctx, func(tx *store.Tx) error {
		all, more, err := l.read(tx, after, n)
		p = page[U]{items: make([]U, len(all)), more: &more}
		for i := range all {
			p.items[i] = l.show(all[i])
		}
		if more {
			p.marker = nextMarker(l.name, l.keysOf(all[len(all)-1])...)
		}
		return err
	})
	return p, err
}
