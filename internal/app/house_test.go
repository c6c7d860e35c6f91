package app_test

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/federation/federationtest"
	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// gate is a policy that a test can shut. It writes down what it is asked.
type gate struct {
	mu   sync.Mutex
	shut bool
	// open are the actions that a shut gate lets through.
	open  []string
	asked []string
}

func (g *gate) evaluate(r policy.Request) policy.Decision {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, q := range r.Questions {
		g.asked = append(g.asked, q.Action+" on "+q.Resource.ARN)
	}
	for _, q := range r.Questions {
		if g.shut && !slices.Contains(g.open, q.Action) {
			return policy.Decision{Action: q.Action, Resource: q.Resource.ARN, Reason: policy.ReasonIdentity}
		}
	}
	set := policy.PolicySet{Resources: map[policy.Resource]policy.ResourceSet{}}
	for _, q := range r.Questions {
		if strings.HasPrefix(q.Action, "kms:") {
			set.Resources[q.Resource] = policy.ResourceSet{Policies: []*policy.Policy{keysOfAccount}}
		}
	}
	return policy.Evaluate(r, set)
}

// keysOfAccount leaves keys to their account, other than which even root may do nothing with them.
var keysOfAccount, _ = policy.Load(policy.KindKey, []byte(keyPolicyOfAccount), policy.Options{})

// take returns what was asked since it was called last.
func (g *gate) take() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	asked := g.asked
	g.asked = nil
	return asked
}

func (g *gate) close(open ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.open = true, open
}

// house is a server with something of everything in it.
type house struct {
	*coffertest.Server
	t                     *testing.T
	gate                  *gate
	token, upload, orphan string
	key                   string // of ann
	image                 string
	manifest              []byte
	issuer                *federationtest.Issuer
	corp                  *federationtest.SAMLProvider
	organization          map[string]string
}

const onApp = " on arn:aws:ecr:us-east-1:123456789012:repository/team/app"

func build(t *testing.T) *house {
	h := &house{t: t, gate: &gate{}}
	h.issuer = federationtest.NewIssuer(t)
	// A sweep in the middle of a test would change what the test compares.
	h.Server = coffertest.Start(t, coffertest.Limits(map[string]int64{"sweep-seconds": 24 * 3600}), func(_ *app.Config, o *app.Options) {
		o.Evaluate, o.Roots = h.gate.evaluate, h.issuer.Authority.Roots()
	})
	h.token = h.Token()
	for _, name := range []string{"team/app", "team/source"} {
		h.CreateRepository(name)
		h.image, h.manifest = h.PushImage(h.token, name, "1", []byte("a layer of "+name))
	}
	h.image, h.manifest = h.PushImage(h.token, "team/app", "1", []byte("a layer of team/app"))
	h.PushBlob(h.token, "team/app", []byte("orphan"))
	h.orphan = coffertest.Digest([]byte("orphan"))
	var out struct{ UploadID string }
	h.MustECR("InitiateLayerUpload", map[string]string{"repositoryName": "team/app"}, &out)
	h.upload = out.UploadID
	h.MustQuery("iam", "CreateUser", map[string]any{"UserName": "ann", "Path": "/team/"})
	h.key = h.MustQuery("iam", "CreateAccessKey", map[string]any{"UserName": "ann"}).KeyOf().AccessKeyID
	h.MustQuery("iam", "CreateGroup", map[string]any{"GroupName": "devs", "Path": "/team/"})
	h.MustQuery("iam", "CreateRole", map[string]any{"RoleName": "ci", "Path": "/team/", "AssumeRolePolicyDocument": trustRoot})
	h.MustQuery("iam", "CreatePolicy", map[string]any{"PolicyName": "pushers", "Path": "/team/", "PolicyDocument": document("Allow", "ecr:PutImage", "*")})
	h.MustQuery("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": "https://id.example.com"})
	h.MustQuery("iam", "CreateOpenIDConnectProvider", map[string]any{"Url": h.issuer.URL, "ClientIDList": []string{"coffer"}})
	h.corp = federationtest.NewSAMLProvider(t)
	h.MustQuery("iam", "CreateSAMLProvider", map[string]any{"Name": "corp", "SAMLMetadataDocument": h.corp.Metadata()})
	if err := h.AddMFADevice(t.Context(), coffertest.Account, "phone"); err != nil {
		t.Fatal(err)
	}
	h.organization = organize(h.Server)
	h.organization["{kms-key}"] = h.CreateKMSKey(nil)
	h.MustKMS("CreateAlias", map[string]string{"AliasName": "alias/app", "TargetKeyId": h.organization["{kms-key}"]}, nil)
	var encrypted struct{ CiphertextBlob string }
	h.MustKMS("Encrypt", map[string]string{"KeyId": "alias/app", "Plaintext": "eA=="}, &encrypted)
	h.organization["{kms-blob}"] = encrypted.CiphertextBlob
	h.gate.take()
	return h
}

// trustRoot is a trust policy that leaves it to the account who may assume a role.
const trustRoot = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"sts:AssumeRole"}}`

// member is a value for a member of an input, by its name.
func (h *house) member(name string) any {
	if value := h.organizationMember(name); value != nil {
		return value
	}
	layer := coffertest.Digest([]byte("a layer of team/app"))
	return map[string]any{
		"KeyId": h.organization["{kms-key}"], "TargetKeyId": h.organization["{kms-key}"], "AliasName": "alias/app",
		"Plaintext": "eA==", "PublicKey": "eA==", "Message": "eA==", "Signature": "eA==", "Mac": "eA==", "ImportToken": "eA==", "EncryptedKeyMaterial": "eA==",
		"repositoryName": "team/app", "resourceArn": "arn:aws:ecr:us-east-1:123456789012:repository/team/app", "uploadId": h.upload,
		"layerDigest": layer, "layerDigests": []string{layer}, "imageManifest": string(h.manifest) + "\n",
		"imageIds": []any{map[string]string{"imageTag": "1"}}, "imageDigest": h.image, "layerPartBlob": "eA==",
		"imageTag": "2", "tagKeys": []string{"k"},
		"OpenIDConnectProviderArn": "arn:aws:iam::123456789012:oidc-provider/id.example.com", "ThumbprintList": []string{strings.Repeat("a", 40)},
		"SerialNumber": "arn:aws:iam::123456789012:mfa/phone", "AuthenticationCode1": "000000", "AuthenticationCode2": "000001",
		"RoleName": "ci", "AssumeRolePolicyDocument": trustRoot, "PolicyArn": "arn:aws:iam::123456789012:policy/team/pushers", "VersionId": "v1",
		"PermissionsBoundary": "arn:aws:iam::123456789012:policy/team/pushers",
		"SAMLProviderArn":     corp, "SAMLMetadataDocument": h.corp.Metadata(),
		"SAMLAssertion":    h.corp.Response(federationtest.SAMLResponse{Roles: []string{aRole + "," + corp}}).Reveal(),
		"WebIdentityToken": h.issuer.Mint(nil).Reveal(), "RoleSessionName": "run1",
		"UserName": "ann", "GroupName": "devs", "AccessKeyId": h.key, "PolicyDocument": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ecr:*","Resource":"*"}}`,
	}[name]
}

// minimal makes the smallest input that fits a shape.
func (h *house) minimal(s *awsapi.Shape) any {
	switch s.Kind {
	case awsapi.Structure:
		in := map[string]any{}
		for _, m := range s.Members {
			if !m.Required {
				continue
			}
			if in[m.Name] = h.member(m.Name); in[m.Name] == nil {
				in[m.Name] = h.minimal(m.Shape)
			}
		}
		return in
	case awsapi.List:
		return []any{h.minimal(s.Element)}
	case awsapi.Integer:
		return 0
	case awsapi.String:
		if len(s.Enum) > 0 {
			return s.Enum[0]
		}
		return "k"
	}
	h.t.Fatalf("a required member of the shape %s has no value", s.Name)
	return nil
}

// records are the ids of the requests that the trail knows.
func (h *house) records() map[string]bool {
	seen := map[string]bool{}
	for _, r := range h.Trail() {
		seen[r.RequestID] = true
	}
	return seen
}

// state is everything that the server keeps but its trail, its jobs and who used what when: the rows of each table, and the names of
// all objects.
func (h *house) state() map[string][]string {
	h.t.Helper()
	state := map[string][]string{}
	err := h.Registry.View(h.t.Context(), func(tx *store.Tx) error {
		tables, err := texts(tx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('audit', 'iam_access', 'job') ORDER BY name`)
		if err != nil {
			return err
		}
		for _, table := range tables {
			columns, err := texts(tx, `SELECT 'quote('||name||')' FROM pragma_table_info($1) WHERE name NOT LIKE 'used%'`, table)
			if err != nil {
				return err
			}
			if state[table], err = texts(tx, `SELECT `+strings.Join(columns, "||' '||")+` FROM `+table+` ORDER BY 1`); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	blobs := filepath.Join(h.Config.Data, "blobs")
	err = filepath.WalkDir(blobs, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			state["objects"] = append(state["objects"], path)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(state["repository"]) != 2 || len(state["objects"]) == 0 {
		h.t.Fatalf("the state is not what it should be: %v", state)
	}
	return state
}

func texts(tx *store.Tx, query string, args ...any) ([]string, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
