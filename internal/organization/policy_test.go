package organization

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/store"
)

func TestPolicies(t *testing.T) {
	h := build(t)
	create := func(typ PolicyType, name, document string) func(tx *store.Tx) error {
		return func(tx *store.Tx) error { _, err := h.CreatePolicy(tx, typ, name, "", document); return err }
	}
	p := h.policy(ServiceControl, "p", denyDeletes)
	h.policy(ResourceControl, "p", denyStrangers) // the name is taken by a type only
	h.refused(DuplicatePolicy, "", create(ServiceControl, "p", denyDeletes))
	h.refused(DuplicatePolicy, "", create(ServiceControl, "FullAWSAccess", denyDeletes))
	h.refused(MalformedPolicyDocument, "", create(ServiceControl, "q", "{}"))
	h.refused(MalformedPolicyDocument, "", create(ServiceControl, "q", denyStrangers))
	h.refused(MalformedPolicyDocument, "", create(ResourceControl, "q", denyDeletes))
	h.refused(MalformedPolicyDocument, "", create(ResourceControl, "q", strings.Replace(denyStrangers, "Deny", "Allow", 1)))
	h.refused(PolicyTypeNotAvailable, "", create("TAG_POLICY", "q", denyDeletes))
	spaces := strings.Repeat(" ", maxDocument-len(denyDeletes))
	h.must(create(ServiceControl, "full", denyDeletes+spaces))
	h.refused(ConstraintViolation, "POLICY_CONTENT_LIMIT_EXCEEDED", create(ServiceControl, "q", denyDeletes+spaces+" "))

	update := func(id, name, document string) func(tx *store.Tx) error {
		return func(tx *store.Tx) error { _, err := h.UpdatePolicy(tx, id, name, "", document); return err }
	}
	h.refused(InvalidInput, "IMMUTABLE_POLICY", update(fullAccess, "mine", ""))
	h.refused(PolicyNotFound, "", update("p-none000000", "mine", ""))
	h.refused(DuplicatePolicy, "", update(p.ID, "full", ""))
	h.refused(MalformedPolicyDocument, "", update(p.ID, "", denyStrangers))
	h.must(func(tx *store.Tx) error {
		got, err := h.UpdatePolicy(tx, p.ID, "renamed", "told", "")
		want := Policy{ID: p.ID, Type: ServiceControl, Name: "renamed", Description: "told", Document: denyDeletes}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		return err
	})
	remove := func(id string) func(tx *store.Tx) error {
		return func(tx *store.Tx) error { return h.DeletePolicy(tx, id) }
	}
	h.attached(p.ID, member)
	h.refused(PolicyInUse, "", remove(p.ID))
	h.refused(InvalidInput, "IMMUTABLE_POLICY", remove(fullAccess))
	h.must(func(tx *store.Tx) error { return h.Detach(tx, p.ID, member) })
	h.must(remove(p.ID))
	h.refused(PolicyNotFound, "", remove(p.ID))
	h.must(func(tx *store.Tx) error {
		all, err := h.Policies(tx, ServiceControl, "", 10)
		if len(all) != 2 || all[0].Name != "FullAWSAccess" || !all[0].Managed || all[1].Name != "full" {
			t.Errorf("they are %v", all)
		}
		return err
	})
}

func TestAttachments(t *testing.T) {
	h := build(t)
	root := h.info.Root
	p, r := h.policy(ServiceControl, "p", denyDeletes), h.policy(ResourceControl, "r", denyStrangers)
	attach := func(policy, target string) func(*store.Tx) error {
		return func(tx *store.Tx) error { return h.Attach(tx, policy, target) }
	}
	detach := func(policy, target string) func(*store.Tx) error {
		return func(tx *store.Tx) error { return h.Detach(tx, policy, target) }
	}
	h.refused(PolicyNotFound, "", attach("p-none000000", member))
	h.refused(TargetNotFound, "", attach(p.ID, "000000000000"))
	h.refused(TargetNotFound, "", attach(p.ID, "r-none"))
	h.refused(TargetNotFound, "", attach(p.ID, "ou-none-00000000"))
	h.refused(PolicyTypeNotEnabled, "", attach(r.ID, member))
	h.refused(PolicyNotAttached, "", detach(p.ID, member))
	h.must(attach(p.ID, member))
	h.refused(DuplicatePolicyAttachment, "", attach(p.ID, member))
	for i := 2; i < maxAttached; i++ {
		h.must(attach(h.policy(ServiceControl, fmt.Sprint(i), denyDeletes).ID, member))
	}
	h.refused(ConstraintViolation, "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED", attach(h.policy(ServiceControl, "more", denyDeletes).ID, member))

	h.must(attach(p.ID, other))
	h.must(detach(fullAccess, other))
	h.refused(ConstraintViolation, minimumAttached, detach(p.ID, other))

	enable := func(root string, typ PolicyType) func(*store.Tx) error {
		return func(tx *store.Tx) error { return h.EnablePolicyType(tx, root, typ) }
	}
	disable := func(root string, typ PolicyType) func(*store.Tx) error {
		return func(tx *store.Tx) error { return h.DisablePolicyType(tx, root, typ) }
	}
	h.refused(RootNotFound, "", enable("r-none", ResourceControl))
	h.refused(PolicyTypeNotAvailable, "", enable(root, "TAG_POLICY"))
	h.refused(PolicyTypeAlreadyEnabled, "", enable(root, ServiceControl))
	h.refused(PolicyTypeNotEnabled, "", disable(root, ResourceControl))
	h.refused(RootNotFound, "", disable("r-none", ServiceControl))
	h.must(enable(root, ResourceControl))
	h.must(attach(r.ID, root))
	h.refused(ConstraintViolation, minimumAttached, detach(fullResourceAccess, root))
	h.must(detach(r.ID, root))

	// A type that is enabled again begins as it did at first.
	h.must(disable(root, ServiceControl))
	h.must(enable(root, ServiceControl))
	if diff := cmp.Diff([]string{fullAccess, fullAccess}, names(h.standingOf(other).SCP)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	h.must(func(tx *store.Tx) error {
		u, err := h.CreateUnit(tx, root, "u")
		if err != nil {
			return err
		}
		targets, err := h.TargetsOf(tx, fullResourceAccess, "", 10)
		want := []Target{{member, "account " + member}, {management, "account " + management}, {other, "account " + other}, {u.ID, "u"}, {root, "Root"}}
		if diff := cmp.Diff(want, targets); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		return err
	})
}

func TestTags(t *testing.T) {
	h := build(t)
	tag := func(id string, tags ...Tag) func(*store.Tx) error {
		return func(tx *store.Tx) error { return h.Tag(tx, id, tags) }
	}
	h.must(tag(member, Tag{"Team", "a"}, Tag{"stage", "test"}))
	h.must(tag(member, Tag{"team", "b"}))
	h.refused(InvalidInput, "DUPLICATE_TAG_KEY", tag(member, Tag{"k", "a"}, Tag{"K", "b"}))
	h.refused(InvalidInput, "INVALID_SYSTEM_TAGS_PARAMETER", tag(member, Tag{"aws:k", "a"}))
	h.refused(TargetNotFound, "", tag("000000000000", Tag{"k", "a"}))
	h.refused(TargetNotFound, "", tag("p-none000000", Tag{"k", "a"}))
	var many []Tag
	for i := range maxTags - 1 {
		many = append(many, Tag{fmt.Sprint(i), "v"})
	}
	h.refused(ConstraintViolation, "MAX_TAG_LIMIT_EXCEEDED", tag(member, many...))
	h.must(tag(fullAccess, many...))
	h.must(func(tx *store.Tx) error { return h.Untag(tx, member, []string{"STAGE", "none"}) })
	h.must(func(tx *store.Tx) error {
		tags, err := h.Tags(tx, member)
		if diff := cmp.Diff([]Tag{{"team", "b"}}, tags); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
		return err
	})
	keys, err := h.Keys(t.Context(), member)
	if err != nil || cmp.Diff([]string{"b"}, keys["aws:resourcetag/team"]) != "" || len(keys) != 1 {
		t.Errorf("%v, %v", keys, err)
	}
}
