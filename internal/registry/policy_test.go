package registry

import (
	"errors"
	"strings"
	"testing"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// people are the users and roles of a test, by ARN.
type people map[string]string

const (
	annARN = "arn:aws:iam::123456789012:user/ann"
	annID  = "AIDAQ3EGTSLBEXAMPLE11"
)

// live makes the registry know people.
func (e *env) live(p people) {
	e.resolve = func(*store.Tx, *error) func(string) (string, bool) {
		return func(arn string) (string, bool) { id, ok := p[arn]; return id, ok }
	}
	e.principalName = func(*store.Tx, *error) func(string) (string, bool) {
		return func(id string) (string, bool) {
			for arn, other := range p {
				if other == id {
					return arn, true
				}
			}
			return "", false
		}
	}
}

func (e *env) setPolicy(repo Repository, text string) error {
	return e.db.Update(e.t.Context(), func(tx *store.Tx) error {
		p, err := e.NewPolicy(tx, repo.Registry, repo.Name, text)
		if err != nil {
			return err
		}
		return e.SetPolicy(tx, repo, p)
	})
}

func (e *env) policyOf(repo Repository) (text string, err error) {
	err = e.db.View(e.t.Context(), func(tx *store.Tx) error {
		text, err = e.Policy(tx, repo)
		return err
	})
	return text, err
}

func pullBy(principal string) string {
	return `{"Version":"2012-10-17","Statement":{"Sid":"a b","Effect":"Allow","Principal":{"AWS":"` + principal + `"},"Action":["ecr:BatchGetImage"]}}`
}

// shownPull is how ECR shows pullBy.
func shownPull(principal string) string {
	return `{
  "Version" : "2012-10-17",
  "Statement" : {
    "Sid" : "a b",
    "Effect" : "Allow",
    "Principal" : {
      "AWS" : "` + principal + `"
    },
    "Action" : [ "ecr:BatchGetImage" ]
  }
}`
}

// A policy is kept by the unique ids of whom it names: it shows their ARNs while they exist, follows them when they are
// renamed, and does not mean whoever is made anew under the name.
func TestPolicyFollowsWhomItNames(t *testing.T) {
	e := newEnv(t, nil)
	repo, known := e.create("app"), people{annARN: annID}
	e.live(known)
	_, err := e.policyOf(repo)
	wantError(t, "before it is set", err, ErrPolicyNotFound)
	e.must(e.setPolicy(repo, pullBy(annARN)))
	want := func(when, principal string) {
		t.Helper()
		if text, err := e.policyOf(repo); text != shownPull(principal) || err != nil {
			t.Errorf("%s: %v\n%s", when, err, text)
		}
	}
	want("set", annARN)
	delete(known, annARN)
	known["arn:aws:iam::123456789012:user/team/ann"] = annID
	want("renamed", "arn:aws:iam::123456789012:user/team/ann")
	clear(known)
	known[annARN] = "AIDAQ3EGTSLBEXAMPLE22"
	want("made anew", annID)
	if err := e.setPolicy(repo, shownPull(annID)); !unknownPrincipal(err) {
		t.Errorf("set again with one who is gone: %v", err)
	}
	known["arn:aws:iam::123456789012:role/ann"] = annID
	e.must(e.setPolicy(repo, shownPull(annID)))
	want("by the id of one who exists", "arn:aws:iam::123456789012:role/ann")
}

func unknownPrincipal(err error) bool {
	var e *PolicyError
	return errors.As(err, &e) && e.UnknownPrincipal
}

func TestPolicyIsDeleted(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	remove := func() (string, error) {
		return change(e, func(tx *store.Tx) (string, error) { return e.DeletePolicy(tx, repo) })
	}
	_, err := remove()
	wantError(t, "without one", err, ErrPolicyNotFound)
	e.must(e.setPolicy(repo, pullBy("111122223333")))
	e.must(e.setPolicy(repo, pullBy("444455556666")))
	if text, err := remove(); text != shownPull("444455556666") || err != nil {
		t.Errorf("%v\n%s", err, text)
	}
	_, err = remove()
	wantError(t, "again", err, ErrPolicyNotFound)
	e.must(e.setPolicy(repo, pullBy("111122223333")))
	e.must(e.deleteRepository(home, "app", false))
	_, err = e.policyOf(e.create("app"))
	wantError(t, "of a new repository of the name", err, ErrPolicyNotFound)
	e.sweep()
	if n := read(e, func(tx *store.Tx) (n int, err error) {
		return n, tx.QueryRow(`SELECT count(*) FROM repository_policy`).Scan(&n)
	}); n != 0 {
		t.Errorf("%d policies are left", n)
	}
}

func TestPolicyIsRefused(t *testing.T) {
	e := newEnv(t, nil)
	repo := e.create("app")
	e.live(people{annARN: annID})
	const statement = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",`
	for name, text := range map[string]string{
		"nothing":                 ``,
		"no JSON":                 `{`,
		"no principal":            `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:BatchGetImage"}}`,
		"an action of identities": statement + `"Action":"ecr:GetAuthorizationToken"}}`,
		"another service":         statement + `"Action":"s3:GetObject"}}`,
		"another repository":      statement + `"Action":"ecr:*","Resource":"arn:aws:ecr:us-east-1:123456789012:repository/other"}}`,
		"another region":          statement + `"Action":"ecr:*","Resource":"arn:aws:ecr:eu-central-1:123456789012:repository/app"}}`,
	} {
		var refused *PolicyError
		if err := e.setPolicy(repo, text); !errors.As(err, &refused) || refused.Kind != policy.KindRepository || refused.UnknownPrincipal || refused.Detail == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, principal := range []string{"arn:aws:iam::123456789012:user/bob", "arn:aws:iam::999999999999:role/any", "AIDAQ3EGTSLBEXAMPLE99"} {
		if err := e.setPolicy(repo, pullBy(principal)); !unknownPrincipal(err) {
			t.Errorf("%s: %v", principal, err)
		}
	}
	for _, text := range []string{statement + `"Action":"ecr:*","Resource":"*"}}`, statement + `"Action":"ecr:*","Resource":"arn:aws:ecr:us-east-1:123456789012:repository/app"}}`} {
		if err := e.setPolicy(repo, text); err != nil {
			t.Error(err)
		}
	}
}

// What can't be looked up is no reason to say that there is nobody.
func TestPolicyWhosePrincipalsCannotBeLookedUp(t *testing.T) {
	e := newEnv(t, nil)
	repo, broken := e.create("app"), errors.New("chosen")
	e.live(people{annARN: annID})
	e.must(e.setPolicy(repo, pullBy(annARN)))
	e.resolve = func(_ *store.Tx, failure *error) func(string) (string, bool) {
		return func(string) (string, bool) { *failure = broken; return "", false }
	}
	e.principalName = e.resolve
	if err := e.setPolicy(repo, pullBy(annARN)); !errors.Is(err, broken) {
		t.Errorf("set: %v", err)
	}
	if _, err := e.policyOf(repo); !errors.Is(err, broken) {
		t.Errorf("show: %v", err)
	}
}

func (e *env) putRegistryPolicy(id ID, text string) error {
	return e.db.Update(e.t.Context(), func(tx *store.Tx) error {
		p, err := e.NewRegistryPolicy(tx, id, text)
		if err != nil {
			return err
		}
		return e.PutRegistryPolicy(tx, id, p)
	})
}

func (e *env) putSetting(id ID, name Setting, value string) error {
	return e.db.Update(e.t.Context(), func(tx *store.Tx) error { return e.PutSetting(tx, id, name, value) })
}

// registryPolicy is a policy of the home registry.
func registryPolicy(action string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"` + action + `","Resource":"arn:aws:ecr:us-east-1:123456789012:repository/*"}]}`
}

func TestRegistryPolicy(t *testing.T) {
	e := newEnv(t, nil)
	get := func(id ID) (text string, err error) {
		err = e.db.View(t.Context(), func(tx *store.Tx) error { text, err = e.RegistryPolicy(tx, id); return err })
		return text, err
	}
	_, err := get(home)
	wantError(t, "before", err, ErrRegistryPolicyNotFound)
	e.must(e.putRegistryPolicy(home, registryPolicy("ecr:*")))
	e.must(e.putRegistryPolicy(home, registryPolicy("ecr:BatchGetImage")))
	if text, err := get(home); err != nil || !strings.Contains(text, "\n"+`  "Statement" : [ {`+"\n"+`    "Effect" : "Allow",`) {
		t.Errorf("%v\n%s", err, text)
	}
	_, err = get(abroad)
	wantError(t, "in another region", err, ErrRegistryPolicyNotFound)
	for _, text := range []string{
		strings.ReplaceAll(registryPolicy("ecr:*"), "us-east-1", "eu-central-1"), strings.Replace(registryPolicy("ecr:*"), ":123456789012:", ":111122223333:", 1),
		registryPolicy("s3:*"), `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*"}]}`,
	} {
		var refused *PolicyError
		if err := e.putRegistryPolicy(home, text); !errors.As(err, &refused) || refused.Kind != policy.KindRegistry {
			t.Errorf("%s: %v", text, err)
		}
	}
	remove := func() (string, error) {
		return change(e, func(tx *store.Tx) (string, error) { return e.DeleteRegistryPolicy(tx, home) })
	}
	if text, err := remove(); err != nil || !strings.Contains(text, "BatchGetImage") {
		t.Errorf("%v\n%s", err, text)
	}
	_, err = remove()
	wantError(t, "again", err, ErrRegistryPolicyNotFound)
}

// With scope V1 a registry's policy is about three actions.
func TestRegistryPolicyOfScopeV1(t *testing.T) {
	e := newEnv(t, nil)
	e.must(e.putSetting(home, PolicyScope, "V1"))
	for _, action := range []string{"ecr:*", "ecr:BatchGetImage"} {
		var refused *PolicyError
		if err := e.putRegistryPolicy(home, registryPolicy(action)); !errors.As(err, &refused) {
			t.Errorf("%s: %v", action, err)
		}
	}
	for _, action := range []string{"ecr:ReplicateImage", "ecr:CreateRepository", "ecr:BatchImportUpstreamImage"} {
		e.must(e.putRegistryPolicy(home, registryPolicy(action)))
	}
	e.must(e.putRegistryPolicy(abroad, strings.ReplaceAll(registryPolicy("ecr:*"), "us-east-1", "eu-central-1")))
}
