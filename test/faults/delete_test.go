package faults

import (
	"bytes"
	"context"
	"net/http"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/faults/history"
)

// deleteTag deletes a tag, and the image if it has no other.
func (w *worker) deleteTag(repository, tag string) {
	if tag == "" {
		return
	}
	w.remove(history.Op{Kind: history.DeleteTag, Repository: repository, Tag: tag}, tag, map[string]string{"imageTag": tag},
		history.Op{Kind: history.ReadTag, Repository: repository, Tag: tag})
}

// deleteImage deletes an image with all its tags.
func (w *worker) deleteImage(repository, digest string) {
	if digest == "" {
		return
	}
	w.remove(history.Op{Kind: history.DeleteImage, Repository: repository, Digest: digest}, digest, map[string]string{"imageDigest": digest},
		history.Op{Kind: history.ReadImage, Repository: repository, Digest: digest})
}

// remove deletes by one of both protocols. If there is nothing to delete, that is what absent tells.
func (w *worker) remove(op history.Op, reference string, id map[string]string, absent history.Op) {
	byAPI := w.r.IntN(2) == 0
	s := w.ask(&op, func(ctx context.Context, c *client.Client) (client.Answer, error) {
		if byAPI {
			return c.ECR(ctx, "BatchDeleteImage", map[string]any{"repositoryName": op.Repository, "imageIds": []any{id}}, nil)
		}
		return c.V2(ctx, http.MethodDelete, op.Repository+"/manifests/"+reference, nil)
	})
	if !s.answered {
		return
	}
	missing := s.answer.Status == http.StatusNotFound && s.answer.Code() == "MANIFEST_UNKNOWN" ||
		byAPI && s.answer.Status == http.StatusOK && bytes.Contains(s.answer.Body, []byte("ImageNotFound"))
	switch {
	case missing:
		s.end(w.load, history.Refused)
		s.saw(w.load, absent)
	case s.answer.Status < 300 && !bytes.Contains(s.answer.Body, []byte("failureCode")):
		s.end(w.load, history.Done)
		w.readTag(op.Repository, op.Tag)
		w.readImage(op.Repository, op.Digest)
	default:
		s.end(w.load, history.Refused)
		w.odd(s, "delete "+op.Repository+" "+reference)
	}
}

// thin deletes some of the older images, so that a list has one page and a run has an end.
func (w *worker) thin(repository string) {
	for _, digest := range w.known.retire(w.r, repository) {
		w.deleteImage(repository, digest)
	}
}
