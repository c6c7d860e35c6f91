package policy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/coffer-registry/coffer/internal/arn"
)

// vectorFile is a file of decisions: what is asked, under which policies, and what the answer is.
type vectorFile struct {
	Cases []vector `json:"cases"`
}

type vector struct {
	ID       string         `json:"id"`
	Rule     string         `json:"rule"`
	Note     string         `json:"note"`
	Request  vectorRequest  `json:"request"`
	Policies vectorPolicies `json:"policies"`
	Type     string         `json:"resourceType"`
	Expected string         `json:"expected"`
	Reason   string         `json:"reason"`
	Scope    string         `json:"registryScope"`
}

type vectorRequest struct {
	Principal struct {
		Type              string `json:"type"`
		Account           string `json:"account"`
		ARN               string `json:"arn"`
		RoleARN           string `json:"roleArn"`
		UserARN           string `json:"userArn"`
		ID                string `json:"id"`
		ManagementAccount bool   `json:"managementAccount"`
		ServiceLinkedRole bool   `json:"serviceLinkedRole"`
	} `json:"principal"`
	Action            string                     `json:"action"`
	Resource          string                     `json:"resource"`
	ResourceAccount   *string                    `json:"resourceAccount"`
	Context           map[string]json.RawMessage `json:"context"`
	EncryptionContext map[string]string          `json:"encryptionContext"`
	ViaEndpoint       bool                       `json:"viaEndpoint"`
}

type vectorPolicies struct {
	Identity []json.RawMessage   `json:"identity"`
	Groups   []json.RawMessage   `json:"groups"`
	Boundary []json.RawMessage   `json:"boundary"`
	Session  []json.RawMessage   `json:"session"`
	Resource []json.RawMessage   `json:"resource"`
	Registry []json.RawMessage   `json:"registry"`
	SCP      [][]json.RawMessage `json:"scp"`
	RCP      [][]json.RawMessage `json:"rcp"`
	Endpoint []json.RawMessage   `json:"endpoint"`
	Grants   []struct {
		Grantee     string   `json:"grantee"`
		Operations  []string `json:"operations"`
		Constraints struct {
			EncryptionContextSubset map[string]string
			EncryptionContextEquals map[string]string
		} `json:"constraints"`
	} `json:"grants"`
}

// TestVectors runs the file that COFFER_IAM_CASES names, or the package's own.
func TestVectors(t *testing.T) {
	path := os.Getenv("COFFER_IAM_CASES")
	if path == "" {
		path = filepath.Join("testdata", "iam-cases.json")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file vectorFile
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) == 0 {
		t.Fatal("there are no cases")
	}
	for _, v := range file.Cases {
		t.Run(v.ID+"/"+v.Rule, func(t *testing.T) {
			d := v.evaluate(t)
			if got := outcome(d); got != v.Expected || string(d.Reason) != v.Reason {
				t.Errorf("%s: got %s by %s (%s), want %s by %s", v.Note, got, d.Reason, d.Statement, v.Expected, v.Reason)
			}
		})
	}
	t.Logf("%d cases of %s", len(file.Cases), path)
}

func outcome(d Decision) string {
	switch {
	case d.Allowed:
		return "Allow"
	case d.Explicit:
		return "ExplicitDeny"
	}
	return "ImplicitDeny"
}

func (v *vector) evaluate(t *testing.T) Decision {
	t.Helper()
	p := v.Policies
	resource := v.resource()
	set := PolicySet{
		Identity: load(t, KindIdentity, append(append([]json.RawMessage(nil), p.Identity...), p.Groups...)),
		Boundary: load(t, KindManaged, p.Boundary),
		Session:  load(t, KindSession, p.Session),
		SCP:      loadLevels(t, KindSCP, p.SCP),
		Resources: map[Resource]ResourceSet{resource: {
			Policies:   append(load(t, v.resourceKind(), p.Resource), load(t, KindRegistry, p.Registry)...),
			RegistryV1: v.Scope == "V1", RCP: loadLevels(t, KindRCP, p.RCP), Grants: v.grants(),
		}},
	}
	if v.Request.ViaEndpoint {
		set.Endpoint = load(t, KindEndpoint, p.Endpoint)
	}
	in := Context{}
	for key, raw := range v.Request.Context {
		in.Put(key, contextValues(t, raw)...)
	}
	return Evaluate(Request{Principal: v.principal(t), Context: in, EncryptionContext: v.Request.EncryptionContext,
		Questions: []Question{{Action: v.Request.Action, Resource: resource}}}, set)
}

func (v *vector) principal(t *testing.T) Principal {
	t.Helper()
	in := v.Request.Principal
	p := Principal{ARN: in.ARN, Account: in.Account, ID: in.ID, ServiceLinked: in.ServiceLinkedRole, Management: in.ManagementAccount}
	switch in.Type {
	case "user":
	case "session":
		p.Role = in.RoleARN
	case "federated":
		p.User = in.UserARN
	case "root":
		p.Root = true
		if p.ARN == "" {
			p.ARN = arn.Root(p.Account).String()
		}
	case "service":
		p.Service = true
	case "webidentity":
		p.Provider = true
	case "anonymous":
		p.ARN = ""
	default:
		t.Fatalf("unknown type of principal %q", in.Type)
	}
	return p
}

// resource takes the account from the ARN where the case does not say whose the resource is.
func (v *vector) resource() Resource {
	r := Resource{ARN: v.Request.Resource, Account: v.Request.Principal.Account}
	if v.Request.ResourceAccount != nil {
		r.Account = *v.Request.ResourceAccount
	} else if a, err := arn.Parse(r.ARN); err == nil {
		r.Account = a.Account
	}
	return r
}

func (v *vector) resourceKind() Kind {
	switch v.Type {
	case "trust":
		return KindTrust
	case "kms":
		return KindKey
	}
	return KindRepository
}

func (v *vector) grants() (out []Grant) {
	for _, g := range v.Policies.Grants {
		out = append(out, Grant{ID: "grant", Grantee: g.Grantee, Operations: g.Operations,
			EncryptionContextSubset: g.Constraints.EncryptionContextSubset, EncryptionContextEquals: g.Constraints.EncryptionContextEquals})
	}
	return out
}

// load keeps nil for a layer that does not exist.
func load(t *testing.T, kind Kind, documents []json.RawMessage) []*Policy {
	t.Helper()
	if documents == nil {
		return nil
	}
	out := []*Policy{}
	for _, document := range documents {
		p, err := Load(kind, document, Options{Name: kind.String()})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func loadLevels(t *testing.T, kind Kind, levels [][]json.RawMessage) (out [][]*Policy) {
	t.Helper()
	for _, level := range levels {
		out = append(out, load(t, kind, level))
	}
	return out
}

func contextValues(t *testing.T, raw json.RawMessage) []string {
	t.Helper()
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	values := []string{}
	for _, item := range list {
		var text string
		if json.Unmarshal(item, &text) != nil {
			text = string(item) // a number or boolean without quotes
		}
		values = append(values, text)
	}
	return values
}
