package organization

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// names are those of policies by level, without what comes before their ids.
func names(levels [][]*policy.Policy) (out []string) {
	for _, level := range levels {
		var ids []string
		for _, p := range level {
			ids = append(ids, p.Name()[strings.LastIndexByte(p.Name(), '/')+1:])
		}
		out = append(out, strings.Join(ids, " "))
	}
	return out
}

// An account stands under what is attached to each level above it, and at once under what changes.
func TestStanding(t *testing.T) {
	h := build(t)
	outer := h.unit(h.info.Root, "outer")
	inner := h.unit(outer.ID, "inner")
	deny := h.policy(ServiceControl, "deny", denyDeletes)
	want := func(what, account, path string, scp, rcp []string) {
		t.Helper()
		st := h.standingOf(account)
		if st.Path != path || st.Organization != h.info.ID || st.Management != (account == management) {
			t.Errorf("%s: %+v", what, st)
		}
		if diff := cmp.Diff(scp, names(st.SCP)); diff != "" {
			t.Errorf("%s: service control policies: -want +got\n%s", what, diff)
		}
		if diff := cmp.Diff(rcp, names(st.RCP)); diff != "" {
			t.Errorf("%s: resource control policies: -want +got\n%s", what, diff)
		}
	}
	inRoot := h.info.ID + "/" + h.info.Root + "/"
	want("new", member, inRoot, []string{fullAccess, fullAccess}, nil)
	want("management", management, inRoot, []string{fullAccess, fullAccess}, nil)

	h.move(member, h.info.Root, inner.ID)
	inInner := inRoot + outer.ID + "/" + inner.ID + "/"
	want("moved", member, inInner, []string{fullAccess, fullAccess, fullAccess, fullAccess}, nil)

	h.attached(deny.ID, outer.ID)
	levels := []string{fullAccess, fullAccess + " " + deny.ID, fullAccess, fullAccess}
	if deny.ID < fullAccess {
		levels[1] = deny.ID + " " + fullAccess
	}
	want("attached", member, inInner, levels, nil)

	h.must(func(tx *store.Tx) error { return h.EnablePolicyType(tx, h.info.Root, ResourceControl) })
	want("enabled", member, inInner, levels, []string{fullResourceAccess, fullResourceAccess, fullResourceAccess, fullResourceAccess})

	h.must(func(tx *store.Tx) error { return h.DisablePolicyType(tx, h.info.Root, ServiceControl) })
	want("disabled", member, inInner, nil, []string{fullResourceAccess, fullResourceAccess, fullResourceAccess, fullResourceAccess})
	want("disabled", other, inRoot, nil, []string{fullResourceAccess, fullResourceAccess})

	if diff := cmp.Diff(&Standing{}, h.standingOf("000000000000")); diff != "" {
		t.Errorf("an account that there isn't: -want +got\n%s", diff)
	}
}

// mayDelete asks whether the service control policies of an account let a user delete a repository.
func mayDelete(st *Standing, account string) bool {
	allow, _ := policy.Load(policy.KindIdentity, []byte(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`), policy.Options{})
	return policy.Evaluate(policy.Request{
		Principal: policy.Principal{ARN: "arn:aws:iam::" + account + ":user/ann", Account: account, Management: st.Management},
		Questions: policy.Ask([]string{"ecr:DeleteRepository"}, policy.Repository("us-east-1", account, "app")),
	}, policy.PolicySet{Identity: []*policy.Policy{allow}, SCP: st.SCP}).Allowed
}

// A changed document counts at once, for members and not for the management account; one that can't be read denies all.
func TestChangedDocumentCounts(t *testing.T) {
	h := build(t)
	p := h.policy(ServiceControl, "p", strings.Replace(denyDeletes, "ecr:DeleteRepository", "ecr:PutImage", 1))
	h.attached(p.ID, h.info.Root)
	if !mayDelete(h.standingOf(member), member) {
		t.Error("denied by what denies another action")
	}
	h.must(func(tx *store.Tx) error { _, err := h.UpdatePolicy(tx, p.ID, "", "", denyDeletes); return err })
	if mayDelete(h.standingOf(member), member) || !mayDelete(h.standingOf(management), management) {
		t.Error("the change does not count, or counts for the management account")
	}
	h.must(func(tx *store.Tx) error {
		if err := h.changed(tx); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE organization_policy SET document = 'damaged' WHERE id = $1`, p.ID)
		return err
	})
	if mayDelete(h.standingOf(member), member) {
		t.Error("a document that can't be read allows")
	}
}

// A change counts on other servers of the database after their next look.
func TestChangesReachOtherServers(t *testing.T) {
	h := build(t)
	here, there := openShared(t)
	h.Store = here
	h.addAccount(management, "first")
	h.ensure(management)
	h.must(func(tx *store.Tx) (err error) { h.info, err = h.Info(tx); return err })
	before, err := there.Standing(t.Context(), management)
	if err != nil || len(before.SCP) != 2 {
		t.Fatal(before, err)
	}
	h.must(func(tx *store.Tx) error { return h.DisablePolicyType(tx, h.info.Root, ServiceControl) })
	if err := there.db.Fresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := there.Standing(t.Context(), management); err != nil || after.SCP != nil {
		t.Errorf("the change does not count elsewhere: %+v, %v", after, err)
	}
}

// Standing is on the path of every request.
func TestStandingIsInMemory(t *testing.T) {
	h := build(t)
	first := h.standingOf(member)
	if h.standingOf(member) != first {
		t.Error("it was read again")
	}
	if allocs := testing.AllocsPerRun(100, func() { h.standingOf(member) }); allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// The first start makes the organization, and later ones leave it as it is.
func TestEnsure(t *testing.T) {
	h := build(t)
	changed := false
	h.db.Subscribe(func(string) { changed = true })
	h.ensure(member)
	if changed {
		t.Error("it changed something")
	}
	h.addAccount("222222222222", "late")
	h.ensure(member)
	h.must(func(tx *store.Tx) error {
		if info, err := h.Info(tx); err != nil || info != h.info {
			t.Errorf("it is %+v, %v", info, err)
		}
		late, err := h.Account(tx, "222222222222")
		if err == nil && late.Parent != h.info.Root {
			t.Errorf("it hangs in %s", late.Parent)
		}
		return err
	})
	if st := h.standingOf("222222222222"); len(st.SCP) != 2 || st.Management {
		t.Errorf("it stands under %v", names(st.SCP))
	}
}
