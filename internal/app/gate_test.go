package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/oci"
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
	return policy.Evaluate(r, policy.PolicySet{})
}

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
	image                 string
	manifest              []byte
}

const onApp = " on arn:aws:ecr:us-east-1:123456789012:repository/team/app"

func build(t *testing.T) *house {
	h := &house{t: t, gate: &gate{}}
	h.Server = coffertest.Start(t, func(_ *app.Config, o *app.Options) { o.Evaluate = h.gate.evaluate })
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
	h.gate.take()
	return h
}

// member is a value for a member of an input, by its name.
func (h *house) member(name string) any {
	layer := coffertest.Digest([]byte("a layer of team/app"))
	return map[string]any{
		"repositoryName": "team/app", "resourceArn": "arn:aws:ecr:us-east-1:123456789012:repository/team/app", "uploadId": h.upload,
		"layerDigest": layer, "layerDigests": []string{layer}, "imageManifest": string(h.manifest) + "\n",
		"imageIds": []any{map[string]string{"imageTag": "1"}}, "imageDigest": h.image, "layerPartBlob": "eA==",
		"imageTag": "2", "tagKeys": []string{"k"},
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

// operations are what the gate is asked of every operation that is served, and of some with more in their input. An
// operation without questions needs no permission.
var operations = map[string][]struct {
	name      string
	more      map[string]any
	questions []string
}{
	"ecr": {
		{"BatchCheckLayerAvailability", nil, []string{"ecr:BatchCheckLayerAvailability" + onApp}},
		{"BatchDeleteImage", nil, []string{"ecr:BatchDeleteImage" + onApp}},
		{"BatchGetImage", nil, []string{"ecr:BatchGetImage" + onApp}},
		{"CompleteLayerUpload", nil, []string{"ecr:CompleteLayerUpload" + onApp}},
		{"CreateRepository", map[string]any{"repositoryName": "team/new"}, []string{"ecr:CreateRepository on arn:aws:ecr:us-east-1:123456789012:repository/team/new"}},
		{"CreateRepository", map[string]any{"repositoryName": "team/new", "tags": []any{map[string]string{"Key": "k", "Value": "v"}}},
			[]string{"ecr:CreateRepository on arn:aws:ecr:us-east-1:123456789012:repository/team/new", "ecr:TagResource on arn:aws:ecr:us-east-1:123456789012:repository/team/new"}},
		{"DeleteRepository", map[string]any{"force": true}, []string{"ecr:DeleteRepository" + onApp}},
		{"DescribeImages", nil, []string{"ecr:DescribeImages" + onApp}},
		{"DescribeRegistry", nil, []string{"ecr:DescribeRegistry on *"}},
		{"DescribeRepositories", nil, []string{"ecr:DescribeRepositories on arn:aws:ecr:us-east-1:123456789012:repository/*"}},
		{"DescribeRepositories", map[string]any{"repositoryNames": []string{"team/app", "team/source"}},
			[]string{"ecr:DescribeRepositories" + onApp, "ecr:DescribeRepositories on arn:aws:ecr:us-east-1:123456789012:repository/team/source"}},
		{"DescribeRepositories", map[string]any{"registryId": "999999999999"}, []string{"ecr:DescribeRepositories on arn:aws:ecr:us-east-1:999999999999:repository/*"}},
		{"GetAuthorizationToken", nil, []string{"ecr:GetAuthorizationToken on *"}},
		{"GetDownloadUrlForLayer", nil, []string{"ecr:GetDownloadUrlForLayer" + onApp}},
		{"InitiateLayerUpload", nil, []string{"ecr:InitiateLayerUpload" + onApp}},
		{"ListImageReferrers", nil, []string{"ecr:BatchGetImage" + onApp}},
		{"ListImages", nil, []string{"ecr:ListImages" + onApp}},
		{"ListImages", map[string]any{"registryId": "999999999999"}, []string{"ecr:ListImages on arn:aws:ecr:us-east-1:999999999999:repository/team/app"}},
		{"ListTagsForResource", nil, []string{"ecr:ListTagsForResource" + onApp}},
		{"PutImage", nil, []string{"ecr:PutImage" + onApp}},
		{"PutImageTagMutability", nil, []string{"ecr:PutImageTagMutability" + onApp}},
		{"TagResource", nil, []string{"ecr:TagResource" + onApp}},
		{"TagResource", map[string]any{"resourceArn": "arn:aws:ecr:us-east-1:999999999999:repository/team/app"}, []string{"ecr:TagResource on arn:aws:ecr:us-east-1:999999999999:repository/team/app"}},
		{"TagResource", map[string]any{"resourceArn": "no ARN"}, []string{"ecr:TagResource on *"}},
		{"UntagResource", nil, []string{"ecr:UntagResource" + onApp}},
		{"UploadLayerPart", nil, []string{"ecr:UploadLayerPart" + onApp}},
	},
	"sts": {
		{"GetCallerIdentity", nil, nil},
	},
}

// call calls an operation, signed or not.
func (h *house) call(s *awsapi.Service, name string, in map[string]any, signed bool) coffertest.Response {
	h.t.Helper()
	var r *http.Request
	var body []byte
	switch s.Model.Protocol {
	case awsapi.JSON11:
		body, _ = json.Marshal(in)
		r = h.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-amz-json-1.1", "X-Amz-Target", s.Model.TargetPrefix+"."+name)
	case awsapi.Query:
		form := url.Values{"Action": {name}, "Version": {s.Model.Version}}
		for member, value := range in {
			form.Set(member, fmt.Sprint(value))
		}
		body = []byte(form.Encode())
		r = h.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-www-form-urlencoded")
	}
	if signed {
		h.Sign(r, body, s.Model.SigningName)
	}
	return h.Do(r)
}

func (h *house) input(s *awsapi.Service, name string, more map[string]any) map[string]any {
	in := h.minimal(s.Model.Operations[name].Input).(map[string]any)
	for member, value := range more {
		in[member] = value
	}
	return in
}

// TestNoOperationGoesAroundTheGate calls every operation while the gate is shut.
func TestNoOperationGoesAroundTheGate(t *testing.T) {
	h := build(t)
	for _, s := range h.Services {
		var known []string
		for _, o := range operations[s.Model.Name] {
			known = append(known, o.name)
		}
		if diff := cmp.Diff(s.Served(), slices.Compact(known)); diff != "" {
			t.Errorf("%s: -served +in the table\n%s", s.Model.Name, diff)
		}
	}
	h.gate.close()
	before, records := h.state(), h.records()
	for _, s := range h.Services {
		for _, o := range operations[s.Model.Name] {
			t.Run(s.Model.Name+" "+o.name, func(t *testing.T) {
				r := h.call(s, o.name, h.input(s, o.name, o.more), true)
				if diff := cmp.Diff(o.questions, h.gate.take()); diff != "" {
					t.Errorf("the gate was asked: -want +got\n%s", diff)
				}
				wanted := wantedRecord{name: o.name, source: s.EventSource, status: http.StatusOK}
				if len(o.questions) > 0 {
					action, resource, _ := strings.Cut(o.questions[0], " on ")
					wanted = wantedRecord{name: o.name, source: s.EventSource, status: http.StatusBadRequest, code: "AccessDeniedException", message: deniedMessage(action, resource)}
				}
				h.check(t, r, wanted, before, &records)
			})
		}
	}
}

func deniedMessage(action, resource string) string {
	return "User: arn:aws:iam::123456789012:root is not authorized to perform: " + action + " on resource: " + resource +
		" because no identity-based policy allows the " + action + " action"
}

// wantedRecord is what a refused request answers and leaves behind.
type wantedRecord struct {
	name, source  string
	status        int
	code, message string
	// v2Code is the code of the answer where it is not that of the trail.
	v2Code string
	// plain says that the answer has no code.
	plain bool
}

// check compares an answer, the state and the trail with what they should be.
func (h *house) check(t *testing.T, r coffertest.Response, want wantedRecord, before map[string][]string, seen *map[string]bool) {
	t.Helper()
	code := want.code
	if want.v2Code != "" {
		code = want.v2Code
	}
	if r.Status != want.status || !want.plain && (r.Code() != code || r.Message() != want.message) {
		t.Errorf("status %d, want %d: %s", r.Status, want.status, r.Body)
	}
	if diff := cmp.Diff(before, h.state()); diff != "" {
		t.Errorf("something changed: -before +after\n%s", diff)
	}
	var fresh []coffertest.Record
	for _, record := range h.Trail() {
		if !(*seen)[record.RequestID] {
			fresh = append(fresh, record)
		}
		(*seen)[record.RequestID] = true
	}
	if len(fresh) != 1 {
		t.Fatalf("%d records", len(fresh))
	}
	record := fresh[0]
	if record.EventName != want.name || record.EventSource != want.source || record.ErrorCode != want.code || record.ErrorMessage != want.message ||
		record.RequestID != r.Header.Get("X-Amzn-Requestid") || record.ResponseElements != nil {
		t.Errorf("the record: %s", record.Text)
	}
}

// routes is a request of each kind under /v2/, its event in the trail and what the gate is asked.
func (h *house) routes() map[oci.Kind]struct {
	method, path, event string
	questions           []string
} {
	type route = struct {
		method, path, event string
		questions           []string
	}
	layer := coffertest.Digest([]byte("a layer of team/app"))
	upload := "/v2/team/app/blobs/uploads/" + h.upload
	return map[oci.Kind]route{
		oci.Ping:           {"GET", "/v2/", "PingRegistry", nil},
		oci.Catalog:        {"GET", "/v2/_catalog", "DescribeRepositories", []string{"ecr:DescribeRepositories on arn:aws:ecr:us-east-1:123456789012:repository/*"}},
		oci.TagsList:       {"GET", "/v2/team/app/tags/list", "ListImages", []string{"ecr:ListImages" + onApp}},
		oci.Referrers:      {"GET", "/v2/team/app/referrers/" + h.image, "ListImageReferrers", []string{"ecr:BatchGetImage" + onApp}},
		oci.ManifestHead:   {"HEAD", "/v2/team/app/manifests/1", "BatchGetImage", []string{"ecr:BatchGetImage" + onApp}},
		oci.ManifestGet:    {"GET", "/v2/team/app/manifests/1", "BatchGetImage", []string{"ecr:BatchGetImage" + onApp}},
		oci.ManifestPut:    {"PUT", "/v2/team/app/manifests/2", "PutImage", []string{"ecr:PutImage" + onApp}},
		oci.ManifestDelete: {"DELETE", "/v2/team/app/manifests/1", "BatchDeleteImage", []string{"ecr:BatchDeleteImage" + onApp}},
		oci.BlobHead:       {"HEAD", "/v2/team/app/blobs/" + layer, "BatchCheckLayerAvailability", []string{"ecr:BatchCheckLayerAvailability" + onApp}},
		oci.BlobGet:        {"GET", "/v2/team/app/blobs/" + layer, "GetDownloadUrlForLayer", []string{"ecr:GetDownloadUrlForLayer" + onApp}},
		oci.BlobDelete:     {"DELETE", "/v2/team/app/blobs/" + h.orphan, "DeleteLayer", []string{"ecr:BatchDeleteImage" + onApp}},
		oci.UploadStart:    {"POST", "/v2/team/app/blobs/uploads/", "InitiateLayerUpload", []string{"ecr:InitiateLayerUpload" + onApp}},
		oci.UploadMount: {"POST", "/v2/team/app/blobs/uploads/?from=team/source&mount=" + coffertest.Digest([]byte("a layer of team/source")), "InitiateLayerUpload",
			[]string{"ecr:InitiateLayerUpload" + onApp}},
		oci.UploadSingle: {"POST", "/v2/team/app/blobs/uploads/?digest=" + coffertest.Digest(h.manifest), "CompleteLayerUpload",
			[]string{"ecr:InitiateLayerUpload" + onApp, "ecr:UploadLayerPart" + onApp, "ecr:CompleteLayerUpload" + onApp}},
		oci.UploadStatus: {"GET", upload, "DescribeLayerUpload", []string{"ecr:UploadLayerPart" + onApp}},
		oci.UploadChunk:  {"PATCH", upload, "UploadLayerPart", []string{"ecr:UploadLayerPart" + onApp}},
		oci.UploadFinish: {"PUT", upload + "?digest=" + coffertest.Digest(h.manifest), "CompleteLayerUpload", []string{"ecr:UploadLayerPart" + onApp, "ecr:CompleteLayerUpload" + onApp}},
		oci.UploadCancel: {"DELETE", upload, "AbortLayerUpload", []string{"ecr:InitiateLayerUpload" + onApp}},
	}
}

// TestNoRouteGoesAroundTheGate sends a request of every kind under /v2/ while the gate is shut.
func TestNoRouteGoesAroundTheGate(t *testing.T) {
	h := build(t)
	h.gate.close()
	before, records, routes := h.state(), h.records(), h.routes()
	for _, kind := range oci.Kinds() {
		route, known := routes[kind]
		if !known {
			t.Errorf("kind %d of requests is not in the table", kind)
			continue
		}
		if u, err := url.ParseRequestURI(route.path); err != nil {
			t.Error(err)
		} else if parsed, err := oci.ParseRequest(route.method, u); err != nil || parsed.Kind != kind {
			t.Errorf("%s %s is of kind %d: %v", route.method, route.path, parsed.Kind, err)
		}
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			r := h.V2(h.token, route.method, route.path, h.manifest, "Content-Type", coffertest.ManifestType)
			if diff := cmp.Diff(route.questions, h.gate.take()); diff != "" {
				t.Errorf("the gate was asked: -want +got\n%s", diff)
			}
			want := wantedRecord{name: route.event, source: "ecr.amazonaws.com", status: http.StatusOK}
			if len(route.questions) > 0 {
				action, resource, _ := strings.Cut(route.questions[0], " on ")
				want = wantedRecord{name: route.event, source: "ecr.amazonaws.com", status: http.StatusForbidden, code: "AccessDenied", v2Code: "DENIED", message: deniedMessage(action, resource)}
			}
			if route.method == http.MethodHead {
				r.Body = []byte(fmt.Sprintf(`{"errors":[{"code":%q,"message":%q}]}`, want.v2Code, want.message))
			}
			h.check(t, r, want, before, &records)
		})
	}
}

// TestNobodyEnters sends all of them without credentials.
func TestNobodyEnters(t *testing.T) {
	h := build(t)
	before, records := h.state(), h.records()
	for _, s := range h.Services {
		for _, o := range operations[s.Model.Name] {
			t.Run(s.Model.Name+" "+o.name, func(t *testing.T) {
				r := h.call(s, o.name, h.input(s, o.name, o.more), false)
				want := wantedRecord{name: o.name, source: s.EventSource, status: http.StatusBadRequest, code: "MissingAuthenticationTokenException", message: "Missing Authentication Token"}
				if s.Model.Protocol == awsapi.Query {
					want.status, want.code, want.message = http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"
					if !bytes.Contains(r.Body, []byte("<Code>"+want.code+"</Code>")) {
						t.Errorf("%s", r.Body)
					}
					r.Body = []byte(fmt.Sprintf(`{"__type":%q,"message":%q}`, want.code, want.message))
				}
				h.check(t, r, want, before, &records)
			})
		}
	}
	for kind, route := range h.routes() {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			r := h.V2("", route.method, route.path, h.manifest)
			if kind == oci.Ping { // with which every client begins, to be told how to log in
				if r.Status != http.StatusUnauthorized || len(h.Trail()) != len(records) {
					t.Errorf("status %d, %d records", r.Status, len(h.Trail()))
				}
				return
			}
			h.check(t, r, wantedRecord{name: route.event, source: "ecr.amazonaws.com", status: http.StatusUnauthorized, code: "UNAUTHORIZED", message: "Not Authorized", plain: true}, before, &records)
		})
	}
	if asked := h.gate.take(); len(asked) > 0 {
		t.Errorf("the gate was asked about nobody: %q", asked)
	}
}

// TestMountAsksForTheSource mounts a layer of a repository that the caller may not read, and is told to upload it.
func TestMountAsksForTheSource(t *testing.T) {
	h := build(t)
	h.gate.close("ecr:InitiateLayerUpload")
	route := h.routes()[oci.UploadMount]
	r := h.V2(h.token, route.method, route.path, nil)
	if r.Status != http.StatusAccepted || r.Header.Get("Docker-Upload-Uuid") == "" {
		t.Errorf("status %d: %s", r.Status, r.Body)
	}
	want := []string{"ecr:InitiateLayerUpload" + onApp, "ecr:GetDownloadUrlForLayer on arn:aws:ecr:us-east-1:123456789012:repository/team/source"}
	if diff := cmp.Diff(want, h.gate.take()); diff != "" {
		t.Errorf("the gate was asked: -want +got\n%s", diff)
	}
	h.gate.close("ecr:InitiateLayerUpload", "ecr:GetDownloadUrlForLayer")
	if r := h.V2(h.token, route.method, route.path, nil); r.Status != http.StatusCreated {
		t.Errorf("a source that may be read: status %d: %s", r.Status, r.Body)
	}
}

// records are the ids of the requests that the trail knows.
func (h *house) records() map[string]bool {
	seen := map[string]bool{}
	for _, r := range h.Trail() {
		seen[r.RequestID] = true
	}
	return seen
}

// state is everything that the server keeps but its trail: the rows of each table, and the names of all objects.
func (h *house) state() map[string][]string {
	h.t.Helper()
	state := map[string][]string{}
	err := h.Registry.View(h.t.Context(), func(tx *store.Tx) error {
		tables, err := texts(tx, `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('audit') ORDER BY name`)
		if err != nil {
			return err
		}
		for _, table := range tables {
			columns, err := texts(tx, `SELECT 'quote('||name||')' FROM pragma_table_info($1)`, table)
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
