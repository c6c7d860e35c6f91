package organization

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

func TestUnits(t *testing.T) {
	h := build(t)
	root := h.info.Root
	a, b := h.unit(root, "a"), h.unit(root, "b")
	if !strings.HasPrefix(a.ID, "ou-"+strings.TrimPrefix(root, "r-")+"-") {
		t.Errorf("its id is %s", a.ID)
	}
	h.unit(a.ID, "b") // the same name elsewhere
	h.refused(DuplicateUnit, "", func(tx *store.Tx) error { _, err := h.CreateUnit(tx, root, "a"); return err })
	h.refused(DuplicateUnit, "", func(tx *store.Tx) error { _, err := h.RenameUnit(tx, b.ID, "a"); return err })
	h.refused(UnitNotFound, "", func(tx *store.Tx) error { _, err := h.RenameUnit(tx, "ou-none-00000000", "a"); return err })
	h.refused(ParentNotFound, "", func(tx *store.Tx) error { _, err := h.CreateUnit(tx, "r-none", "c"); return err })
	h.refused(ParentNotFound, "", func(tx *store.Tx) error { _, err := h.CreateUnit(tx, member, "c"); return err })
	h.must(func(tx *store.Tx) error {
		if _, err := h.RenameUnit(tx, b.ID, "b"); err != nil { // its own name
			return err
		}
		_, err := h.RenameUnit(tx, b.ID, "z")
		return err
	})
	h.must(func(tx *store.Tx) error {
		units, err := h.Units(tx, root, "a", 10)
		if diff := cmp.Diff([]Unit{{b.ID, "z", root}}, units); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		return err
	})
	h.refused(UnitNotEmpty, "", func(tx *store.Tx) error { return h.DeleteUnit(tx, a.ID) })
	h.move(member, root, b.ID)
	h.refused(UnitNotEmpty, "", func(tx *store.Tx) error { return h.DeleteUnit(tx, b.ID) })
	h.move(member, b.ID, root)
	h.must(func(tx *store.Tx) error { return h.DeleteUnit(tx, b.ID) })
	h.refused(UnitNotFound, "", func(tx *store.Tx) error { return h.DeleteUnit(tx, b.ID) })
	h.must(func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow(`SELECT count(*) FROM organization_attachment WHERE target = $1`, b.ID).Scan(&n)
		if n != 0 {
			t.Errorf("%d attachments are left", n)
		}
		return err
	})
}

func TestDepth(t *testing.T) {
	h := build(t)
	parent := h.info.Root
	for i := range maxDepth {
		parent = h.unit(parent, fmt.Sprint(i)).ID
	}
	h.refused(ConstraintViolation, "OU_DEPTH_LIMIT_EXCEEDED", func(tx *store.Tx) error { _, err := h.CreateUnit(tx, parent, "more"); return err })
	h.move(member, h.info.Root, parent)
	if st := h.standingOf(member); len(st.SCP) != maxDepth+2 || strings.Count(st.Path, "/") != maxDepth+2 {
		t.Errorf("%d levels, path %s", len(st.SCP), st.Path)
	}
}

func TestMove(t *testing.T) {
	h := build(t)
	root, u := h.info.Root, h.unit(h.info.Root, "u")
	for _, c := range []struct {
		account, from, to string
		code              Code
	}{
		{"000000000000", root, u.ID, AccountNotFound},
		{member, "r-none", u.ID, SourceParentNotFound},
		{member, root, "r-none", DestinationParentNotFound},
		{member, root, root, DuplicateAccount},
		{member, u.ID, u.ID, AccountNotFound},
	} {
		if c.from == u.ID {
			c.to = h.unit(root, "elsewhere").ID
		}
		h.refused(c.code, "", func(tx *store.Tx) error { return h.Move(tx, c.account, c.from, c.to) })
	}
	h.move(member, root, u.ID)
	h.must(func(tx *store.Tx) error {
		inRoot, err := h.AccountsOf(tx, root, "", 10)
		if err != nil {
			return err
		}
		inUnit, err := h.AccountsOf(tx, u.ID, "", 10)
		want := []Account{{ID: member, Name: "account " + member, Email: member + "@example.com", Active: true, Parent: u.ID, JoinedAt: h.time.Local()}}
		if diff := cmp.Diff(want, inUnit); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		if len(inRoot) != 2 || inRoot[0].ID != management {
			t.Errorf("in the root: %v", inRoot)
		}
		return err
	})
	h.must(func(tx *store.Tx) error {
		for child, parent := range map[string]string{member: u.ID, other: root, u.ID: root} {
			if got, err := h.Parent(tx, child); err != nil || got != parent {
				t.Errorf("%s hangs in %s: %v", child, got, err)
			}
		}
		return nil
	})
	for _, nobody := range []string{"000000000000", "ou-none-00000000"} {
		h.refused(ChildNotFound, "", func(tx *store.Tx) error { _, err := h.Parent(tx, nobody); return err })
	}
}

func TestCheckClose(t *testing.T) {
	h := build(t)
	h.refused(ConstraintViolation, "CANNOT_CLOSE_MANAGEMENT_ACCOUNT", func(tx *store.Tx) error { return h.CheckClose(tx, management) })
	h.refused(AccountNotFound, "", func(tx *store.Tx) error { return h.CheckClose(tx, "000000000000") })
	h.must(func(tx *store.Tx) error {
		if err := h.CheckClose(tx, member); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE account SET status = 'SUSPENDED' WHERE id = $1`, member)
		return err
	})
	h.refused(AccountAlreadyClosed, "", func(tx *store.Tx) error { return h.CheckClose(tx, member) })
}

func TestRequests(t *testing.T) {
	h := build(t)
	var first, second Request
	h.must(func(tx *store.Tx) (err error) {
		first, err = h.AddRequest(tx, Request{AccountName: "a", Account: member, State: Succeeded})
		return err
	})
	h.time = h.time.Add(requestsKept - time.Hour)
	h.must(func(tx *store.Tx) (err error) {
		second, err = h.AddRequest(tx, Request{AccountName: "b", State: Failed, Reason: "EMAIL_ALREADY_EXISTS"})
		return err
	})
	ids := func(states ...string) (ids []string) {
		h.must(func(tx *store.Tx) error {
			requests, err := h.Requests(tx, states, "", 10)
			ids = nil
			for _, r := range requests {
				ids = append(ids, r.ID)
			}
			return err
		})
		return ids
	}
	both := []string{min(first.ID, second.ID), max(first.ID, second.ID)}
	for _, c := range []struct{ states, want []string }{
		{nil, both}, {[]string{"SUCCEEDED", "FAILED"}, both}, {[]string{"FAILED"}, []string{second.ID}}, {[]string{"IN_PROGRESS"}, nil},
	} {
		if diff := cmp.Diff(c.want, ids(c.states...)); diff != "" {
			t.Errorf("%v: -want +got\n%s", c.states, diff)
		}
	}
	h.time = h.time.Add(2 * time.Hour)
	h.must(func(tx *store.Tx) error { _, err := h.AddRequest(tx, Request{State: Failed}); return err })
	h.refused(CreateAccountStatusNotFound, "", func(tx *store.Tx) error { _, err := h.Request(tx, first.ID); return err })
	h.must(func(tx *store.Tx) error { _, err := h.Request(tx, second.ID); return err })
}
