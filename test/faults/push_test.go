package faults

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/coffer-registry/coffer/test/client"
	"github.com/coffer-registry/coffer/test/faults/history"
)

// drawLayer makes a layer: most are small, a few have more bytes than a part of an object.
func (w *worker) drawLayer() client.Blob {
	if w.r.IntN(60) == 0 {
		return client.RandomBlob(w.r, 5<<20+w.r.IntN(4<<20))
	}
	return client.RandomBlob(w.r, 2+client.LayerSize(w.r))
}

// pushNew pushes an image that nobody has pushed, with a tag or without.
func (w *worker) pushNew(repository string) {
	if repository != fixedRepository && w.known.size(repository) >= mostImages {
		w.thin(repository)
	}
	var layers []client.Blob
	for range 1 + w.r.IntN(2) {
		if w.r.IntN(2) == 0 {
			layers = append(layers, w.common[w.r.IntN(len(w.common))])
		} else {
			layers = append(layers, w.drawLayer())
		}
	}
	w.count++
	i := client.NewImage(fmt.Sprintf("%s %d %d", w.name, w.count, w.r.Uint64()), layers)
	for _, b := range i.Blobs {
		if !w.pushLayer(repository, b) {
			return
		}
	}
	tag := ""
	if w.r.IntN(6) > 0 {
		tag = w.known.newTag(w.r, repository)
	}
	w.known.add(repository, &client.Image{Digest: i.Digest, MediaType: i.MediaType, Manifest: i.Manifest, Blobs: digestsOf(i.Blobs)}, tag)
	w.putManifest(repository, i, tag)
}

// digestsOf are layers without their bytes, which are too many to be kept.
func digestsOf(blobs []client.Blob) (list []client.Blob) {
	for _, b := range blobs {
		list = append(list, client.Blob{Digest: b.Digest})
	}
	return list
}

// retag gives a tag to an image that was pushed.
func (w *worker) retag(repository string) {
	if i := w.known.image(w.r, repository); i != nil {
		w.putManifest(repository, i, w.known.newTag(w.r, repository))
	}
}

// pushAgain pushes an image that was pushed, and may have been deleted since.
func (w *worker) pushAgain(repository string) {
	if i := w.known.image(w.r, repository); i != nil {
		w.putManifest(repository, i, "")
	}
}

// putManifest pushes an image whose layers are there, by one of both protocols.
func (w *worker) putManifest(repository string, i *client.Image, tag string) {
	op := history.Op{Kind: history.PushTag, Repository: repository, Tag: tag, Digest: i.Digest}
	if tag == "" {
		op.Kind = history.PushImage
	}
	byAPI := w.r.IntN(3) == 0
	s := w.ask(&op, func(ctx context.Context, c *client.Client) (client.Answer, error) {
		if byAPI {
			in := map[string]any{"repositoryName": repository, "imageManifest": string(i.Manifest), "imageManifestMediaType": i.MediaType}
			if tag != "" {
				in["imageTag"] = tag
			}
			return c.ECR(ctx, "PutImage", in, nil)
		}
		reference := tag
		if tag == "" {
			reference = i.Digest
		}
		return c.V2(ctx, http.MethodPut, repository+"/manifests/"+reference, i.Manifest, "Content-Type", i.MediaType)
	})
	switch {
	case !s.answered:
	case s.answer.Status < 300:
		s.end(w.load, history.Done)
		// Who asks elsewhere at once is the first to see what is old there.
		w.readTag(repository, tag)
	default:
		s.end(w.load, history.Refused)
		w.refusedPut(s, op)
	}
}

// refusedPut notes what a refusal tells of a tag or image.
func (w *worker) refusedPut(s sent, op history.Op) {
	code := s.answer.Code()
	switch {
	case s.answer.Status == http.StatusTooManyRequests:
	case code == "ImageAlreadyExistsException" && op.Tag != "":
		s.saw(w.load, history.Op{Kind: history.ReadTag, Repository: op.Repository, Tag: op.Tag, Digest: op.Digest})
	case code == "ImageAlreadyExistsException":
		s.saw(w.load, history.Op{Kind: history.ReadImage, Repository: op.Repository, Digest: op.Digest, Found: true})
	case op.Repository == fixedRepository && (code == "TAG_INVALID" || code == "ImageTagAlreadyExistsException"):
		s.saw(w.load, history.Op{Kind: history.HasTag, Repository: op.Repository, Tag: op.Tag})
	default:
		w.unexpected(s, "push "+op.Repository+":"+op.Tag+" "+op.Digest)
	}
}

// pushLayer pushes a layer in one of the ways that clients do, and reports whether it is there.
func (w *worker) pushLayer(repository string, b client.Blob) bool {
	w.known.addLayer(repository, b.Digest)
	if w.r.IntN(2) == 0 && w.hasLayer(repository, b.Digest) {
		return true
	}
	op := history.Op{Kind: history.PushLayer, Repository: repository, Digest: b.Digest}
	switch {
	case w.r.IntN(4) == 0:
		s := w.ask(&op, func(ctx context.Context, c *client.Client) (client.Answer, error) {
			return c.V2(ctx, http.MethodPost, repository+"/blobs/uploads/?digest="+b.Digest, b.Bytes)
		})
		return w.pushed(s)
	case w.r.IntN(6) == 0:
		from := repositories[w.r.IntN(len(repositories))]
		s := w.ask(&op, func(ctx context.Context, c *client.Client) (client.Answer, error) {
			return c.V2(ctx, http.MethodPost, repository+"/blobs/uploads/?mount="+b.Digest+"&from="+from, nil)
		})
		if !s.answered || s.answer.Status != http.StatusAccepted {
			return w.pushed(s)
		}
		s.end(w.load, history.Refused)
		return w.pushChunks(s.answer.Location(), op, b)
	}
	s := w.ask(nil, func(ctx context.Context, c *client.Client) (client.Answer, error) {
		return c.V2(ctx, http.MethodPost, repository+"/blobs/uploads/", nil)
	})
	if !s.answered || s.answer.Status != http.StatusAccepted {
		w.odd(s, "begin an upload")
		return false
	}
	return w.pushChunks(s.answer.Location(), op, b)
}

// odd notes an answer that isn't due to load.
func (w *worker) odd(s sent, what string) {
	if s.answered && s.answer.Status != http.StatusTooManyRequests {
		w.unexpected(s, what)
	}
}

// pushed takes the answer to the request that makes a layer readable.
func (w *worker) pushed(s sent) bool {
	switch {
	case !s.answered:
		return false
	case s.answer.Status == http.StatusCreated:
		s.end(w.load, history.Done)
		return true
	}
	s.end(w.load, history.Refused)
	w.odd(s, "push a layer "+s.op.Repository+" "+s.op.Digest)
	return false
}

// pushChunks sends a layer to an upload in up to four chunks, each by another way, and makes it readable.
func (w *worker) pushChunks(upload string, op history.Op, b client.Blob) bool {
	chunks, at, sent := 1+w.r.IntN(4), 0, 0
	for n := 1; n <= chunks && at < len(b.Bytes); n++ {
		end := len(b.Bytes)
		if n < chunks {
			end = at + 2 + w.r.IntN(end-at)
			end = min(end, len(b.Bytes))
		}
		var ok bool
		if at, ok = w.patch(upload, op.Repository, b, at, end, &sent); !ok {
			return false
		}
	}
	for tries := 0; at < len(b.Bytes) && tries < 3; tries++ {
		var ok bool
		if at, ok = w.patch(upload, op.Repository, b, at, len(b.Bytes), &sent); !ok {
			return false
		}
	}
	if at < len(b.Bytes) {
		return false
	}
	s := w.ask(&op, func(ctx context.Context, c *client.Client) (client.Answer, error) {
		return c.V2(ctx, http.MethodPut, upload+"?digest="+b.Digest, nil)
	})
	if s.answered && s.answer.Status == http.StatusRequestedRangeNotSatisfiable {
		s.end(w.load, history.Refused)
		return false // A request that was given up still writes.
	}
	return w.pushed(s)
}

// patch sends a chunk, and returns how far the upload is. If the answer doesn't come, it asks for that. sent is how far the chunks went that
// were sent to the upload: one that was given up may be written yet.
func (w *worker) patch(upload, repository string, b client.Blob, at, end int, sent *int) (int, bool) {
	*sent = max(*sent, end)
	s := w.ask(nil, func(ctx context.Context, c *client.Client) (client.Answer, error) {
		return c.V2(ctx, http.MethodPatch, upload, b.Bytes[at:end], "Content-Range", fmt.Sprintf("%d-%d", at, end-1))
	})
	switch {
	case !s.answered:
		return w.offset(upload, history.Op{Kind: history.Resume, Repository: repository, Digest: b.Digest, Acked: int64(at), Sent: int64(*sent)})
	case s.answer.Status == http.StatusAccepted:
		return end, true
	case s.answer.Status == http.StatusRequestedRangeNotSatisfiable:
		return at, false // A request that was given up still writes, or did.
	}
	w.odd(s, fmt.Sprintf("send bytes %d to %d of %d", at, end, len(b.Bytes)))
	return at, false
}

// offset asks how far an upload is.
func (w *worker) offset(upload string, op history.Op) (int, bool) {
	for range 4 {
		s := w.ask(nil, func(ctx context.Context, c *client.Client) (client.Answer, error) {
			return c.V2(ctx, http.MethodGet, upload, nil)
		})
		if !s.answered {
			continue
		}
		switch s.answer.Status {
		case http.StatusNoContent:
			last, err := strconv.Atoi(strings.TrimPrefix(s.answer.Header.Get("Range"), "0-"))
			if err != nil {
				w.unexpected(s, "the range of an upload")
				return 0, false
			}
			if op.Offset = int64(last) + 1; last == 0 {
				op.Offset = 0
			}
		case http.StatusNotFound:
			op.Offset = -1
		default:
			w.odd(s, "ask for the offset")
			return 0, false
		}
		s.saw(w.load, op)
		return int(op.Offset), op.Offset >= 0
	}
	return 0, false
}
