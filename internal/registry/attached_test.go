package registry

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/cache"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
	"github.com/coffer-registry/coffer/internal/store/storetest"
)

// attachedTo describes what is attached to a repository: the kinds of its policies, and its condition keys.
func (e *env) attachedTo(id ID, name string) (string, policy.Context) {
	e.t.Helper()
	set, err := e.Attached(e.t.Context(), home.Region, policy.Repository(id.Region, id.Account, name))
	e.must(err)
	return describeSet(set), set.Context
}

func describeSet(set policy.ResourceSet) string {
	var words []string
	for _, p := range set.Policies {
		words = append(words, p.Kind().String())
	}
	if set.RegistryV1 {
		words = append(words, "V1")
	}
	return strings.Join(words, " ")
}

// What is attached changes with every change that makes a difference, at once.
func TestAttachedFollowsChanges(t *testing.T) {
	e := newEnv(t, nil)
	want := func(when, want string, tags ...string) {
		t.Helper()
		got, keys := e.attachedTo(home, "app")
		var wanted policy.Context
		for i := 0; i+1 < len(tags); i += 2 {
			if wanted == nil {
				wanted = policy.Context{}
			}
			wanted["aws:resourcetag/"+tags[i]], wanted["ecr:resourcetag/"+tags[i]] = []string{tags[i+1]}, []string{tags[i+1]}
		}
		if diff := cmp.Diff(wanted, keys); got != want || diff != "" {
			t.Errorf("%s: %q, want %q\n%s", when, got, want, diff)
		}
	}
	want("before there is a repository", "")
	repo := e.createIn(home, NewRepository{Name: "app", Mutability: Mutable, Tags: []ResourceTag{{"Team", "a"}}})
	want("created", "", "team", "a")
	e.must(e.setPolicy(repo, pullBy("111122223333")))
	want("with a policy", "repository", "team", "a")
	e.must(e.tag(repo, ResourceTag{"Stage", "test"}))
	want("tagged", "repository", "team", "a", "stage", "test")
	e.update(func(tx *store.Tx) error { return e.UntagRepository(tx, repo, []string{"Team"}) })
	want("untagged", "repository", "stage", "test")
	e.must(e.putRegistryPolicy(home, registryPolicy("ecr:CreateRepository")))
	want("with a policy of the registry", "repository registry", "stage", "test")
	e.must(e.putSetting(home, PolicyScope, "V1"))
	want("of scope V1", "repository registry V1", "stage", "test")
	if _, err := change(e, func(tx *store.Tx) (string, error) { return e.DeletePolicy(tx, repo) }); err != nil {
		t.Fatal(err)
	}
	want("without its own", "registry V1", "stage", "test")
	if _, err := change(e, func(tx *store.Tx) (string, error) { return e.DeleteRegistryPolicy(tx, home) }); err != nil {
		t.Fatal(err)
	}
	want("without any", "V1", "stage", "test")
	e.must(e.setPolicy(repo, pullBy("111122223333")))
	e.must(e.deleteRepository(home, "app", false))
	want("deleted", "V1")
	e.create("app")
	want("created anew", "V1")
}

// Two tags that differ in case only can't be told apart by a condition.
func TestAttachedTagsOfOneName(t *testing.T) {
	e := newEnv(t, nil)
	e.createIn(home, NewRepository{Name: "app", Mutability: Mutable, Tags: []ResourceTag{{"Team", "a"}, {"team", "b"}, {"Same", "c"}, {"same", "c"}}})
	_, keys := e.attachedTo(home, "app")
	if len(keys) != 4 || keys["aws:resourcetag/team"][0] == "a" || keys["aws:resourcetag/team"][0] == "b" || keys["aws:resourcetag/same"][0] != "c" {
		t.Errorf("%q", keys)
	}
}

// Registries have nothing in common, be it of two regions or two accounts.
func TestAttachedByRegistry(t *testing.T) {
	e := newEnv(t, nil)
	for _, id := range []ID{home, abroad, foreign} {
		repo := e.createIn(id, NewRepository{Name: "app", Mutability: Mutable})
		if id == home {
			e.must(e.setPolicy(repo, pullBy("111122223333")))
			e.must(e.putRegistryPolicy(home, registryPolicy("ecr:*")))
		}
	}
	for id, want := range map[ID]string{home: "repository registry", abroad: "", foreign: ""} {
		if got, _ := e.attachedTo(id, "app"); got != want {
			t.Errorf("%v: %q", id, got)
		}
	}
	for name, want := range map[string]string{"other": "registry", "*": "registry"} {
		if got, _ := e.attachedTo(home, name); got != want {
			t.Errorf("repository %s: %q", name, got)
		}
	}
	for region, want := range map[string]string{home.Region: "registry", abroad.Region: ""} {
		set, err := e.Attached(t.Context(), region, policy.Registry(home.Account))
		e.must(err)
		if got := describeSet(set); got != want {
			t.Errorf("the registry in %s: %q", region, got)
		}
	}
}

// What can't be read any more denies.
func TestAttachedPolicyIsBroken(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.must(e.setPolicy(repo, pullBy("111122223333")))
	e.update(func(tx *store.Tx) error {
		_, err := tx.Exec(`UPDATE repository_policy SET document = 'x'`)
		return err
	})
	resource := policy.Repository(home.Region, home.Account, "app")
	set, err := e.Attached(t.Context(), home.Region, resource)
	e.must(err)
	d := policy.Evaluate(policy.Request{Principal: policy.Principal{ARN: "arn:aws:iam::123456789012:root", Account: home.Account, Root: true},
		Questions: policy.Ask([]string{"ecr:BatchGetImage"}, resource)}, policy.PolicySet{Resources: map[policy.Resource]policy.ResourceSet{resource: set}})
	if d.Allowed || !d.Explicit {
		t.Errorf("%+v", d)
	}
}

// Once it is known, what is attached is found without the database, until something changes.
func TestAttachedFromMemory(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.must(e.setPolicy(repo, pullBy("111122223333")))
	e.attachedTo(home, "app")
	e.must(e.db.Close())
	if got, _ := e.attachedTo(home, "app"); got != "repository" {
		t.Errorf("%q", got)
	}
	if allocations := testing.AllocsPerRun(100, func() { e.attachedTo(home, "app") }); allocations > 8 { // of the test itself
		t.Errorf("%v allocations", allocations)
	}
	resource := policy.Repository(home.Region, home.Account, "app")
	if allocations := testing.AllocsPerRun(100, func() { _, _ = e.Attached(context.Background(), home.Region, resource) }); allocations > 1 {
		t.Errorf("%v allocations to find it", allocations)
	}
	e.heard("registry/" + foreign.Account)
	e.attachedTo(home, "app")
	e.heard("iam/" + home.Account)
	e.attachedTo(home, "app")
	e.heard("registry/" + home.Account)
	if _, err := e.Attached(t.Context(), home.Region, resource); err == nil {
		t.Error("it is kept though something changed")
	}
	e.db = storetest.Open(t, t.TempDir(), store.Options{}) // for the end of the test
}

// What was read before a change is told to who asked before it, and to nobody who asks later.
func TestRecallKeepsNothingOvertaken(t *testing.T) {
	var e epochs
	c := cache.New[string, dated[string]](cacheShards*100, cacheShards)
	get := func(value string, meanwhile func()) string {
		got, err := recall(&e, "a", c, "k", func() (string, int, error) { meanwhile(); return value, 1, nil })
		if err != nil {
			t.Error(err)
		}
		return got
	}
	change, nothing := func() { e.end("a") }, func() {}
	for i, step := range []struct {
		value     string
		meanwhile func()
		want      string
	}{
		{"old", change, "old"}, {"new", nothing, "new"}, {"unread", nothing, "new"}, {"unread", change, "new"},
	} {
		if got := get(step.value, step.meanwhile); got != step.want {
			t.Errorf("%d: %q, want %q", i, got, step.want)
		}
	}
	change()
	if got := get("newest", nothing); got != "newest" {
		t.Errorf("after a change %q", got)
	}
	e.end("registry/b")
	e.end("iam/a")
	if got := get("unread", nothing); got != "newest" {
		t.Errorf("after changes of others %q", got)
	}
}
