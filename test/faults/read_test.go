package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/coffer-registry/coffer/internal/coffertest"
	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/faults/history"
)

// readTag asks which image a tag names, with the manifest or without.
func (w *worker) readTag(repository, tag string) {
	if tag != "" {
		w.readTagBy(w.entries[w.r.IntN(len(w.entries))], repository, tag)
	}
}

func (w *worker) readTagBy(e entry, repository, tag string) {
	op := history.Op{Kind: history.ReadTag, Repository: repository, Tag: tag}
	method := []string{http.MethodGet, http.MethodHead}[w.r.IntN(2)]
	s := w.askBy(e, &op, get(method, repository+"/manifests/"+tag))
	w.found(s, method, func(op *history.Op, there bool) {
		if there {
			op.Digest = s.answer.Header.Get("Docker-Content-Digest")
		}
	})
}

func get(method, path string) request {
	return func(ctx context.Context, c *client.Client) (client.Answer, error) {
		return c.V2(ctx, method, path, nil)
	}
}

// found notes the answer to a question whether something is there.
func (w *worker) found(s sent, method string, note func(op *history.Op, there bool)) {
	if !s.answered {
		return
	}
	there := s.answer.Status == http.StatusOK
	if !there && (s.answer.Status != http.StatusNotFound || s.answer.Code() == "NAME_UNKNOWN") {
		s.end(w.load, history.Refused)
		w.odd(s, "read "+s.op.Repository+" "+s.op.Tag+" "+s.op.Digest)
		return
	}
	w.log.End(s.op, func(op *history.Op) {
		op.Found, op.Answer = there, brief(s.answer, nil)
		note(op, there)
		if there && method == http.MethodGet {
			op.Got = coffertest.Digest(s.answer.Body)
		}
	})
}

func nothingElse(*history.Op, bool) {}

// readImage asks for an image by its digest.
func (w *worker) readImage(repository, digest string) {
	if digest == "" {
		return
	}
	method := []string{http.MethodGet, http.MethodHead}[w.r.IntN(2)]
	op := history.Op{Kind: history.ReadImage, Repository: repository, Digest: digest}
	w.found(w.ask(&op, get(method, repository+"/manifests/"+digest)), method, nothingElse)
}

// readLayer reads a layer whole.
func (w *worker) readLayer(repository, digest string) {
	if digest == "" {
		return
	}
	op := history.Op{Kind: history.ReadLayer, Repository: repository, Digest: digest}
	w.found(w.ask(&op, get(http.MethodGet, repository+"/blobs/"+digest)), http.MethodGet, nothingElse)
}

// hasLayer asks whether a layer is there, as clients do before they push it.
func (w *worker) hasLayer(repository, digest string) (there bool) {
	op := history.Op{Kind: history.ReadLayer, Repository: repository, Digest: digest}
	s := w.ask(&op, get(http.MethodHead, repository+"/blobs/"+digest))
	w.found(s, http.MethodHead, nothingElse)
	return s.answered && s.answer.Status == http.StatusOK
}

// list lists the images of a repository with their tags.
func (w *worker) list(repository string) {
	w.listBy(w.entries[w.r.IntN(len(w.entries))], repository)
}

func (w *worker) listBy(e entry, repository string) {
	var out struct {
		ImageIDs  []struct{ ImageDigest, ImageTag string }
		NextToken string
	}
	op := history.Op{Kind: history.List, Repository: repository}
	s := w.askBy(e, &op, func(ctx context.Context, c *client.Client) (client.Answer, error) {
		return c.ECR(ctx, "ListImages", map[string]any{"repositoryName": repository, "maxResults": 1000}, &out)
	})
	if !s.answered {
		return
	}
	if s.answer.Status != http.StatusOK {
		s.end(w.load, history.Refused)
		w.odd(s, "list "+repository)
		return
	}
	w.log.End(s.op, func(op *history.Op) {
		for _, id := range out.ImageIDs {
			op.Images = append(op.Images, history.Named{Tag: id.ImageTag, Digest: id.ImageDigest})
		}
		op.Partial, op.Answer = out.NextToken != "", brief(s.answer, nil)
	})
}

// names lists the names of tags, of which those that are missing are looked at too.
func (w *worker) names(repository string) {
	s := w.ask(nil, get(http.MethodGet, repository+"/tags/list?n=1000"))
	if !s.answered || s.answer.Status != http.StatusOK {
		w.odd(s, "list the tags of "+repository)
		return
	}
	var out struct{ Tags []string }
	if err := json.Unmarshal(s.answer.Body, &out); err != nil {
		w.unexpected(s, fmt.Sprintf("list the tags of %s: %v", repository, err))
		return
	}
	listed := map[string]bool{}
	for _, tag := range out.Tags {
		listed[tag] = true
		s.saw(w.load, history.Op{Kind: history.HasTag, Repository: repository, Tag: tag, Answer: "by name"})
	}
	if s.answer.Header.Get("Link") != "" {
		return
	}
	for _, tag := range w.known.allTags(repository) {
		if !listed[tag] {
			s.saw(w.load, history.Op{Kind: history.ReadTag, Repository: repository, Tag: tag, Answer: "not among the names"})
		}
	}
}
