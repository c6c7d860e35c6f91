package organization

import (
	"errors"
	"slices"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// Request is a request to make an account, and what came of it.
type Request struct {
	ID, AccountName string
	// Account is the account that was made; empty if none was.
	Account string
	State   State
	// Reason is why none was made, such as EMAIL_ALREADY_EXISTS.
	Reason      string
	RequestedAt time.Time
}

// State is how far a request is. Accounts are made at once, so that none is in progress.
type State string

// The states.
const (
	Succeeded State = "SUCCEEDED"
	Failed    State = "FAILED"
)

// requestsKept is how long the outcome of a request can be asked for.
const requestsKept = 90 * 24 * time.Hour

// AddRequest notes what came of a request, under an id of its own.
func (s *Store) AddRequest(tx *store.Tx, r Request) (Request, error) {
	r.ID, r.RequestedAt = newID("car-", 26), s.now()
	if _, err := tx.Exec(`DELETE FROM organization_request WHERE requested_at < $1`, r.RequestedAt.Add(-requestsKept).UnixMicro()); err != nil {
		return Request{}, err
	}
	_, err := tx.Exec(`INSERT INTO organization_request (id, account_name, account, state, reason, requested_at, completed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $6)`, r.ID, r.AccountName, r.Account, string(r.State), r.Reason, r.RequestedAt.UnixMicro())
	return r, err
}

const requestQuery = `SELECT id, account_name, account, state, reason, requested_at FROM organization_request `

func scanRequest(row store.Scanner) (Request, error) {
	var r Request
	var requested int64
	err := row.Scan(&r.ID, &r.AccountName, &r.Account, &r.State, &r.Reason, &requested)
	r.RequestedAt = time.UnixMicro(requested)
	return r, err
}

// Request finds a request. The error is of code CreateAccountStatusNotFoundException.
func (s *Store) Request(tx *store.Tx, id string) (Request, error) {
	r, err := scanRequest(tx.QueryRow(requestQuery+`WHERE id = $1`, id))
	if errors.Is(err, store.ErrNoRows) {
		return Request{}, Errorf(CreateAccountStatusNotFound, "You specified an account creation request that doesn't exist.")
	}
	return r, err
}

// Requests lists the requests in some states, of which none are all, by id, after one id.
func (s *Store) Requests(tx *store.Tx, states []string, after string, n int) ([]Request, error) {
	succeeded, failed := string(Succeeded), string(Failed)
	if len(states) > 0 && !slices.Contains(states, succeeded) {
		succeeded = ""
	}
	if len(states) > 0 && !slices.Contains(states, failed) {
		failed = ""
	}
	rows, err := tx.Query(requestQuery+`WHERE id > $1 AND (state = $2 OR state = $3) ORDER BY id LIMIT $4`, after, succeeded, failed, n)
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanRequest)
}
