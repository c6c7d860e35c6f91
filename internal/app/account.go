package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/audit"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/service/organizations"
	"github.com/coffer-registry/coffer/internal/store"
)

// Account is an account as the operator sees it.
type Account struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Email  string `json:"email,omitempty"`
	Status string `json:"status"`
	// Role is the ARN of the role with which the management account gets in; empty for the management account itself.
	Role string `json:"role,omitempty"`
	// Management is the account that manages the organization.
	Management string `json:"management"`
}

// NewAccount is an account that the operator wants.
type NewAccount struct {
	Name  string `json:"name"`
	Email string `json:"email,omitempty"`
}

// What AWS takes for the name and the address of an account.
var (
	accountName  = regexp.MustCompile(`^[ -~]{1,50}$`)
	accountEmail = regexp.MustCompile(`^[^\s@]+@[^\s@]+\.[^\s@]+$`)
)

// check finds what is wrong with it, in one line for the operator.
func (n NewAccount) check() error {
	switch {
	case strings.TrimSpace(n.Name) == "" || !accountName.MatchString(n.Name):
		return fmt.Errorf("the name %q of the account is not 1 to 50 printable characters of ASCII", n.Name)
	case n.Email != "" && (len(n.Email) > 64 || !accountEmail.MatchString(n.Email)):
		return fmt.Errorf("--email %q is not an address such as team@example.com, of at most 64 characters", n.Email)
	}
	return nil
}

// CreateAccount makes an account: through the running server if there is one, and in the data folder otherwise.
func CreateAccount(ctx context.Context, c Config, n NewAccount) (a Account, err error) {
	if err := n.check(); err != nil {
		return a, err
	}
	err = askServer(ctx, c.Data, http.MethodPost, "/accounts", n, &a)
	if !errors.Is(err, errNotRunning) {
		return a, err
	}
	err = withAccounts(ctx, c, func(st *state) error {
		key, err := st.trailKey()
		if err != nil {
			return err
		}
		trail, err := audit.New(st.db, key)
		if err != nil {
			return err
		}
		a, err = st.createAccount(ctx, c, trail, n)
		return err
	})
	return a, err
}

// ListAccounts lists all accounts by id: through the running server if there is one, and from the data folder otherwise.
func ListAccounts(ctx context.Context, c Config) (all []Account, err error) {
	err = askServer(ctx, c.Data, http.MethodGet, "/accounts", nil, &all)
	if !errors.Is(err, errNotRunning) {
		return all, err
	}
	err = withAccounts(ctx, c, func(st *state) error {
		all, err = st.listAccounts(ctx)
		return err
	})
	return all, err
}

// withAccounts calls fn with the state of a server that isn't running but was once, so that there is a first account.
func withAccounts(ctx context.Context, c Config, fn func(*state) error) error {
	return withState(ctx, c, func(st *state) error {
		exists, err := st.iam.AccountExists(ctx, c.Account)
		if err != nil {
			return err
		}
		if !exists {
			return fmt.Errorf("the data folder %s has no account %s; start a server with it first: coffer serve --data %s", c.Data, c.Account, c.Data)
		}
		if err := st.organization.Ensure(ctx, c.Account); err != nil {
			return err
		}
		return fn(st)
	})
}

// createAccount makes an account, and leaves a record of it in the trail of the management account.
func (st *state) createAccount(ctx context.Context, c Config, trail *audit.Log, n NewAccount) (a Account, err error) {
	err = st.db.Update(ctx, func(tx *store.Tx) error {
		info, err := st.organization.Info(tx)
		if err != nil {
			return err
		}
		request, err := st.accounts(c).Create(tx, organizations.NewAccount{Name: n.Name, Email: n.Email})
		if err != nil {
			return err
		}
		if request.State != organization.Succeeded {
			return fmt.Errorf("the account can't be made: %s", request.Reason)
		}
		made, err := st.organization.Account(tx, request.Account)
		if err != nil {
			return err
		}
		a = accountOf(info, made)
		record, err := accountRecord(info, c.Region[0], request)
		if err != nil {
			return err
		}
		return trail.Append(tx, record)
	})
	return a, err
}

// accountRecord is the record of an account that the operator made. Whoever may do that could as well take the root
// credentials of the management account from the data folder, so that it is the root in the trail too.
func accountRecord(info organization.Info, region string, request organization.Request) (*audit.Record, error) {
	// AWS hides who an account is for.
	shown, err := json.Marshal(map[string]any{"createAccountStatus": map[string]string{
		"id": request.ID, "state": string(request.State), "accountId": request.Account, "accountName": organizations.Hidden,
	}})
	return &audit.Record{
		Identity: audit.Identity{Type: "Root", PrincipalID: info.Management, ARN: iam.RootOf(info.Management), AccountID: info.Management},
		Time:     request.RequestedAt, Source: "organizations.amazonaws.com", Name: "CreateAccount", Region: region,
		SourceIP: "127.0.0.1", UserAgent: "coffer account create", Response: shown, RequestID: audit.NewUUID(), Account: info.Management,
	}, err
}

func accountOf(info organization.Info, a organization.Account) Account {
	out := Account{ID: a.ID, Name: a.Name, Email: a.Email, Status: "ACTIVE", Management: info.Management}
	if !a.Active {
		out.Status = "SUSPENDED"
	}
	if a.ID != info.Management {
		out.Role = iam.KindRole.ARN(a.ID, iam.OrRoot(""), organizations.DefaultRole)
	}
	return out
}

func (st *state) listAccounts(ctx context.Context) (all []Account, err error) {
	err = st.organization.View(ctx, func(tx *store.Tx) error {
		info, err := st.organization.Info(tx)
		if err != nil {
			return err
		}
		accounts, err := st.organization.Accounts(tx, "", organization.MaxAccounts)
		all = make([]Account, 0, len(accounts))
		for _, a := range accounts {
			all = append(all, accountOf(info, a))
		}
		return err
	})
	return all, err
}

// serveAccounts are the handlers of the control socket.
func (s *Server) serveAccounts(mux *http.ServeMux) {
	mux.HandleFunc("GET /accounts", func(w http.ResponseWriter, r *http.Request) {
		all, err := s.state.listAccounts(r.Context())
		reply(w, all, err)
	})
	mux.HandleFunc("POST /accounts", func(w http.ResponseWriter, r *http.Request) {
		var n NewAccount
		err := json.NewDecoder(io.LimitReader(r.Body, maxAsked)).Decode(&n)
		if err == nil {
			err = n.check()
		}
		if err != nil {
			reply(w, nil, err)
			return
		}
		a, err := s.state.createAccount(r.Context(), s.config, s.trail, n)
		reply(w, a, err)
	})
}

// maxAsked bounds what is asked over the control socket, in bytes.
const maxAsked = 64 << 10

// reply answers with JSON, or with the error as a text.
func reply(w http.ResponseWriter, out any, err error) {
	if err != nil {
		http.Error(w, err.Error(), refusedStatus)
		return
	}
	text, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(text) // Who went away gets no answer.
}

// askTimeout bounds how long a server may take to answer.
const askTimeout = 30 * time.Second

// askServer asks the running server over its control socket. The error is errNotRunning if there is none, or what the
// server says.
func askServer(ctx context.Context, data, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	response, done, err := callControl(ctx, data, method, path, body)
	if err != nil {
		return err
	}
	defer done()
	return json.NewDecoder(response.Body).Decode(out)
}
