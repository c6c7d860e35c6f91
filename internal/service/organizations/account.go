package organizations

import (
	"context"

	"github.com/coffer-registry/coffer/internal/awsapi"
	api "github.com/coffer-registry/coffer/internal/awsapi/organizations"
	"github.com/coffer-registry/coffer/internal/organization"
	"github.com/coffer-registry/coffer/internal/store"
)

func (s *service) addAccounts(out *awsapi.Service) {
	awsapi.Add(out, managed(s, awsapi.Op[api.CreateAccountRequest, api.CreateAccountResponse]{
		Action:     "organizations:CreateAccount",
		Parameters: hideOwner,
		Response:   func(out *api.CreateAccountResponse) any { return hideName(out) },
		Write:      s.createAccount,
	}, func(in *api.CreateAccountRequest) about { return about{tags: in.Tags} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.DescribeCreateAccountStatusRequest, api.DescribeCreateAccountStatusResponse]{
		Action: "organizations:DescribeCreateAccountStatus",
		Read:   s.describeCreateAccountStatus,
	}, func(*api.DescribeCreateAccountStatusRequest) about { return about{} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListCreateAccountStatusRequest, api.ListCreateAccountStatusResponse]{
		Action: "organizations:ListCreateAccountStatus",
		Read:   s.listCreateAccountStatus,
	}, func(*api.ListCreateAccountStatusRequest) about { return about{} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.CloseAccountRequest, none]{
		Action: "organizations:CloseAccount",
		Write:  s.closeAccount,
	}, func(in *api.CloseAccountRequest) about { return ids(in.AccountID) }))
	awsapi.Add(out, asked(s, awsapi.Op[api.DescribeAccountRequest, api.DescribeAccountResponse]{
		Action: "organizations:DescribeAccount",
		Read:   s.describeAccount,
	}, func(in *api.DescribeAccountRequest) about { return ids(in.AccountID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListAccountsRequest, api.ListAccountsResponse]{
		Action: "organizations:ListAccounts",
		Read:   s.listAccounts,
	}, func(*api.ListAccountsRequest) about { return about{} }))
	awsapi.Add(out, managed(s, awsapi.Op[api.ListAccountsForParentRequest, api.ListAccountsForParentResponse]{
		Action: "organizations:ListAccountsForParent",
		Read:   s.listAccountsForParent,
	}, func(in *api.ListAccountsForParentRequest) about { return ids(in.ParentID) }))
	awsapi.Add(out, managed(s, awsapi.Op[api.MoveAccountRequest, none]{
		Action: "organizations:MoveAccount",
		Write:  s.moveAccount,
	}, func(in *api.MoveAccountRequest) about {
		return ids(in.AccountID, in.SourceParentID, in.DestinationParentID)
	}))
}

// Hidden stands in the trail for who an account is for, as AWS has it.
const Hidden = "****"

func hideOwner(in *api.CreateAccountRequest) any {
	shown := *in
	shown.Email, shown.AccountName = Hidden, Hidden
	return &shown
}

func hideName(out *api.CreateAccountResponse) *api.CreateAccountResponse {
	status := *out.CreateAccountStatus
	status.AccountName = Hidden
	return &api.CreateAccountResponse{CreateAccountStatus: &status}
}

// createAccount makes the account at once, where AWS takes minutes.
func (s *service) createAccount(tx *store.Tx, _ awsapi.Call, in *api.CreateAccountRequest) (*api.CreateAccountResponse, error) {
	request, err := s.Accounts.Create(tx, NewAccount{Name: in.AccountName, Email: in.Email, Role: in.RoleName, Tags: tagsOf(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &api.CreateAccountResponse{CreateAccountStatus: statusOf(request)}, nil
}

// statusOf is a request as the API shows it.
func statusOf(r organization.Request) *api.CreateAccountStatus {
	at := awsapi.NewTime(r.RequestedAt)
	return &api.CreateAccountStatus{Id: r.ID, AccountName: r.AccountName, State: string(r.State), AccountID: r.Account,
		FailureReason: r.Reason, RequestedTimestamp: &at, CompletedTimestamp: &at}
}

func (s *service) describeCreateAccountStatus(ctx context.Context, _ awsapi.Call, in *api.DescribeCreateAccountStatusRequest) (*api.DescribeCreateAccountStatusResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.DescribeCreateAccountStatusResponse, error) {
		request, err := s.Organization.Request(tx, in.CreateAccountRequestID)
		if err != nil {
			return nil, err
		}
		return &api.DescribeCreateAccountStatusResponse{CreateAccountStatus: statusOf(request)}, nil
	})
}

func (s *service) listCreateAccountStatus(ctx context.Context, _ awsapi.Call, in *api.ListCreateAccountStatusRequest) (*api.ListCreateAccountStatusResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListCreateAccountStatusResponse, error) {
		requests, next, err := paged("requests", in.NextToken, in.MaxResults, func(r organization.Request) string { return r.ID },
			func(after string, n int) ([]organization.Request, error) {
				return s.Organization.Requests(tx, in.States, after, n)
			})
		return &api.ListCreateAccountStatusResponse{NextToken: next, CreateAccountStatuses: each(requests, func(r organization.Request) api.CreateAccountStatus {
			return *statusOf(r)
		})}, err
	})
}

func (s *service) closeAccount(tx *store.Tx, _ awsapi.Call, in *api.CloseAccountRequest) (*none, error) {
	return &none{}, s.Accounts.Close(tx, in.AccountID)
}

// describeAccount shows a member itself and nothing else.
func (s *service) describeAccount(ctx context.Context, c awsapi.Call, in *api.DescribeAccountRequest) (*api.DescribeAccountResponse, error) {
	if in.AccountID != c.Caller.Principal.Account {
		if err := checkManagement(c); err != nil {
			return nil, err
		}
	}
	return view(ctx, s, func(tx *store.Tx) (*api.DescribeAccountResponse, error) {
		a, err := s.Organization.Account(tx, in.AccountID)
		if err != nil {
			return nil, err
		}
		account, err := s.accountOf(tx, infoOf(c), a)
		return &api.DescribeAccountResponse{Account: &account}, err
	})
}

// accountOf is an account as the API shows it.
func (s *service) accountOf(tx *store.Tx, info organization.Info, a organization.Account) (api.Account, error) {
	path, err := s.Organization.Path(tx, info, a.Parent)
	joined := awsapi.NewTime(a.JoinedAt)
	out := api.Account{Id: a.ID, Arn: info.ARNOf(a.ID), Email: a.Email, Name: a.Name, Status: api.AccountStatusActive, State: api.AccountStateActive,
		Paths: []string{path + a.ID + "/"}, JoinedMethod: api.AccountJoinedMethodCreated, JoinedTimestamp: &joined}
	if a.ID == info.Management {
		out.JoinedMethod = api.AccountJoinedMethodInvited
	}
	if !a.Active {
		out.Status, out.State = api.AccountStatusSuspended, api.AccountStateClosed
	}
	return out, err
}

func (s *service) listAccounts(ctx context.Context, c awsapi.Call, in *api.ListAccountsRequest) (*api.ListAccountsResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListAccountsResponse, error) {
		page, next, err := paged("accounts", in.NextToken, in.MaxResults, accountID, func(after string, n int) ([]organization.Account, error) {
			return s.Organization.Accounts(tx, after, n)
		})
		if err != nil {
			return nil, err
		}
		accounts, err := s.accounts(tx, infoOf(c), page)
		return &api.ListAccountsResponse{Accounts: accounts, NextToken: next}, err
	})
}

func accountID(a organization.Account) string { return a.ID }

// accounts are some accounts as the API shows them.
func (s *service) accounts(tx *store.Tx, info organization.Info, page []organization.Account) ([]api.Account, error) {
	accounts := make([]api.Account, 0, len(page))
	for _, a := range page {
		account, err := s.accountOf(tx, info, a)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, account)
	}
	return accounts, nil
}

func (s *service) listAccountsForParent(ctx context.Context, c awsapi.Call, in *api.ListAccountsForParentRequest) (*api.ListAccountsForParentResponse, error) {
	return view(ctx, s, func(tx *store.Tx) (*api.ListAccountsForParentResponse, error) {
		page, next, err := s.accountsOf(tx, "accounts/"+in.ParentID, in.ParentID, in.NextToken, in.MaxResults)
		if err != nil {
			return nil, err
		}
		accounts, err := s.accounts(tx, infoOf(c), page)
		return &api.ListAccountsForParentResponse{Accounts: accounts, NextToken: next}, err
	})
}

// accountsOf reads a page of the accounts in a parent.
func (s *service) accountsOf(tx *store.Tx, list, parent, next string, maxResults *int64) ([]organization.Account, string, error) {
	return paged(list, next, maxResults, accountID, func(after string, n int) ([]organization.Account, error) {
		return s.Organization.AccountsOf(tx, parent, after, n)
	})
}

func (s *service) moveAccount(tx *store.Tx, _ awsapi.Call, in *api.MoveAccountRequest) (*none, error) {
	return &none{}, s.Organization.Move(tx, in.AccountID, in.SourceParentID, in.DestinationParentID)
}
