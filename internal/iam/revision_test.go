package iam

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

const readOnly = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:Get*","Resource":"*"}}`

func (s *Store) mustUpdate(t testing.TB, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.db.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

// mayList asks whether the policies of a user allow to list a repository.
func mayList(t testing.TB, s *Store, user User) bool {
	t.Helper()
	st, err := s.Standing(t.Context(), user.Account, user.ID)
	if err != nil {
		t.Fatal(err)
	}
	return policy.Evaluate(policy.Request{
		Principal: policy.Principal{ARN: user.ARN(), Account: user.Account, ID: user.ID},
		Questions: policy.Ask([]string{"ecr:ListImages"}, policy.Repository("us-east-1", user.Account, "app")),
	}, policy.PolicySet{Identity: st.Policies}).Allowed
}

// A change counts at once where it was made, and on other servers of the database after their next look.
func TestChangesReachOtherServers(t *testing.T) {
	dir, key := t.TempDir(), seal.NewKey()
	open := func() *Store {
		db := storetest.OpenShared(t, dir, store.Options{})
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return New(Config{DB: db, Secrets: key})
	}
	here, there := open(), open()
	put(t, here, account, exampleID, exampleSecret)
	var ann User
	here.mustUpdate(t, func(tx *store.Tx) (err error) {
		if ann, err = here.CreateUser(tx, account, "", "ann"); err != nil {
			return err
		}
		return here.PutInline(tx, Entity{Kind: KindUser, ID: ann.ID, Account: account, Name: "ann", Path: "/"}, "p", readOnly)
	})
	for _, s := range []*Store{here, there} {
		if mayList(t, s, ann) {
			t.Error("she may do what nothing allows")
		}
	}
	epoch := there.Epoch()
	here.mustUpdate(t, func(tx *store.Tx) error {
		return here.PutInline(tx, Entity{Kind: KindUser, ID: ann.ID, Account: account, Name: "ann", Path: "/"}, "p", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`)
	})
	if !mayList(t, here, ann) {
		t.Error("the change does not count where it was made")
	}
	if err := there.db.Fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if there.Epoch() == epoch || !mayList(t, there, ann) {
		t.Error("the change does not count elsewhere after a look")
	}
}
