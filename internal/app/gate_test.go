package app_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/coffer-registry/coffer/internal/awsapi"
	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/internal/oci"
)

// asked is what the gate is asked of an operation, with more in its input than what it must have. An operation without
// questions needs no permission.
type asked struct {
	name      string
	more      map[string]any
	questions []string
}

// operations are those of every service that is served, each at least once, in files of their own.
var operations = map[string][]asked{
	"ecr":           ecrOperations,
	"iam":           slices.Concat(iamMFAOperations, iamProviderOperations, iamReportOperations, iamRoleOperations, iamUnusedOperations, iamUserOperations),
	"kms":           kmsOperations,
	"sts":           stsOperations,
	"organizations": organizationsOperations,
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
		body = []byte(coffertest.Form(name, s.Model.Version, in).Encode())
		r = h.Request(http.MethodPost, "/", bytes.NewReader(body), "Content-Type", "application/x-www-form-urlencoded")
	}
	if signed {
		h.Sign(r, body, s.Model.SigningName)
	}
	return h.Do(r)
}

func (h *house) input(s *awsapi.Service, name string, more map[string]any) map[string]any {
	in := map[string]any{}
	if shape := s.Model.Operations[name].Input; shape != nil {
		in = h.minimal(shape).(map[string]any)
	}
	for member, value := range more {
		if text, ok := value.(string); ok {
			value = h.named([]string{text})[0]
		}
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
		slices.Sort(known)
		if diff := cmp.Diff(s.Served(), slices.Compact(known)); diff != "" {
			t.Errorf("%s: -served +in the table\n%s", s.Model.Name, diff)
		}
	}
	h.gate.close()
	book := h.openBook()
	for _, s := range h.Services {
		for _, o := range operations[s.Model.Name] {
			t.Run(s.Model.Name+" "+o.name, func(t *testing.T) {
				r := h.call(s, o.name, h.input(s, o.name, o.more), true)
				o.questions = h.named(o.questions)
				if diff := cmp.Diff(o.questions, h.gate.take()); diff != "" {
					t.Errorf("the gate was asked: -want +got\n%s", diff)
				}
				wanted := wantedRecord{name: o.name, source: s.EventSource, status: http.StatusOK}
				if len(o.questions) > 0 {
					action, resource, _ := strings.Cut(o.questions[0], " on ")
					wanted = wantedRecord{name: o.name, source: s.EventSource, status: http.StatusBadRequest, code: "AccessDeniedException", message: deniedMessage(action, resource)}
					if s.Model.Operations[o.name].Unsigned {
						wanted.message = "Not authorized to perform " + action
					}
					if s.Model.Protocol == awsapi.Query {
						wanted.status, wanted.code = http.StatusForbidden, "AccessDenied"
					}
				}
				book.enter(t, r, wanted)
			})
		}
	}
	book.settle(t)
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

// book is what requests are held to that are turned away: each leaves one record, and all together change nothing. The trail
// and the state are looked at once, since there are many requests.
type book struct {
	h      *house
	before map[string][]string
	seen   map[string]bool
	wanted map[string]wantedRecord // by the ids of requests
}

func (h *house) openBook() *book {
	return &book{h: h, before: h.state(), seen: h.records(), wanted: map[string]wantedRecord{}}
}

// enter compares an answer with what it should be, and remembers what record it should have left.
func (b *book) enter(t *testing.T, r coffertest.Response, want wantedRecord) {
	t.Helper()
	code := want.code
	if want.v2Code != "" {
		code = want.v2Code
	}
	if r.Status != want.status || !want.plain && (r.Code() != code || r.Message() != want.message) {
		t.Errorf("status %d, want %d: %s", r.Status, want.status, r.Body)
	}
	b.wanted[r.Header.Get("X-Amzn-Requestid")] = want
}

// settle compares the trail and the state with what they should be.
func (b *book) settle(t *testing.T) {
	t.Helper()
	if diff := cmp.Diff(b.before, b.h.state()); diff != "" {
		t.Errorf("something changed: -before +after\n%s", diff)
	}
	for _, record := range b.h.Trail() {
		if b.seen[record.RequestID] {
			continue
		}
		want, left := b.wanted[record.RequestID]
		delete(b.wanted, record.RequestID)
		if !left || record.EventName != want.name || record.EventSource != want.source || record.ErrorCode != want.code || record.ErrorMessage != want.message ||
			record.ResponseElements != nil && want.code != "" {
			t.Errorf("the record: %s\nwant %+v", record.Text, want)
		}
	}
	for _, want := range b.wanted {
		t.Errorf("no record of %+v", want)
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
	book, routes := h.openBook(), h.routes()
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
			book.enter(t, r, want)
		})
	}
	book.settle(t)
}

// TestNobodyEnters sends all of them without credentials.
func TestNobodyEnters(t *testing.T) {
	h := build(t)
	book := h.openBook()
	for _, s := range h.Services {
		for _, o := range operations[s.Model.Name] {
			if s.Model.Operations[o.name].Unsigned {
				continue // What proves who is calling is in the input.
			}
			t.Run(s.Model.Name+" "+o.name, func(t *testing.T) {
				r := h.call(s, o.name, h.input(s, o.name, o.more), false)
				want := wantedRecord{name: o.name, source: s.EventSource, status: http.StatusBadRequest, code: "MissingAuthenticationTokenException", message: "Missing Authentication Token"}
				if s.Model.Protocol == awsapi.Query {
					want.status, want.code, want.message = http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"
				}
				book.enter(t, r, want)
			})
		}
	}
	for kind, route := range h.routes() {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			r := h.V2("", route.method, route.path, h.manifest)
			if kind == oci.Ping { // with which every client begins, to be told how to log in
				if r.Status != http.StatusUnauthorized { // and to leave no record
					t.Errorf("status %d", r.Status)
				}
				return
			}
			book.enter(t, r, wantedRecord{name: route.event, source: "ecr.amazonaws.com", status: http.StatusUnauthorized, code: "UNAUTHORIZED", message: "Not Authorized", plain: true})
		})
	}
	book.settle(t)
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
