package organizations

import (
	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/organization"
)

// pageSize is how many entries a list answers at once unless the client says less; the model allows no more.
const pageSize = 20

// token is what a NextToken holds: the list that it belongs to, and the key of the entry after which the list goes on.
type token struct {
	List  string `json:"l"`
	After string `json:"a"`
}

// paged reads one page of a list of entries that are ordered by a key, and returns the NextToken that goes on from there;
// empty at the end. A list that is about something has that in its name, so that no token goes on elsewhere.
func paged[T any](list, next string, maxResults *int64, key func(T) string, read func(after string, n int) ([]T, error)) (page []T, more string, err error) {
	n := pageSize
	if maxResults != nil {
		n = int(*maxResults)
	}
	at := token{List: list}
	if next != "" {
		if !awsapi.ReadPageToken(next, &at) || at.List != list {
			return nil, "", &organization.Error{Code: organization.InvalidInput, Reason: "INVALID_PAGINATION_TOKEN", Message: "You specified an invalid pagination token."}
		}
	}
	if page, err = read(at.After, n+1); err != nil || len(page) <= n {
		return page, "", err
	}
	page = page[:n]
	return page, awsapi.PageToken(token{list, key(page[n-1])}), nil
}

// each turns the entries of a list into the API's, of which there may be none but which is never missing.
func each[T, O any](list []T, fn func(T) O) []O {
	out := make([]O, 0, len(list))
	for _, entry := range list {
		out = append(out, fn(entry))
	}
	return out
}
