package crash

import (
	"context"
	"fmt"
	"net/http"

	"github.com/coffer-registry/coffer/test/client"
)

// pushBlobs pushes what an image refers to. done means that all is there; otherwise ok reports whether the server still
// answers, as step does.
func (w *worker) pushBlobs(ctx context.Context, repository string, i *client.Image) (ok, done bool) {
	for _, b := range i.Blobs {
		a, err := w.pushBlob(ctx, repository, b)
		if err == nil && w.mayVanish(a) {
			return true, false
		}
		if err != nil || a.Status >= 300 && a.Code() != "LayerAlreadyExistsException" {
			return w.failed("push a layer of "+fmt.Sprint(len(b.Bytes))+" bytes to "+repository, a, err), false
		}
	}
	return true, true
}

// pushBlob pushes a layer in one of the ways that clients do. The answer is the last one.
func (w *worker) pushBlob(ctx context.Context, repository string, b client.Blob) (client.Answer, error) {
	if w.r.IntN(2) == 0 {
		a, err := w.c.V2(ctx, http.MethodHead, repository+"/blobs/"+b.Digest, nil)
		if err != nil || a.Status == http.StatusOK {
			return a, err
		}
	}
	switch w.r.IntN(5) {
	case 0:
		return w.c.V2(ctx, http.MethodPost, repository+"/blobs/uploads/?digest="+b.Digest, b.Bytes)
	case 1:
		return w.mount(ctx, repository, b)
	case 2:
		return w.pushParts(ctx, repository, b)
	}
	a, err := w.c.V2(ctx, http.MethodPost, repository+"/blobs/uploads/", nil)
	if err != nil || a.Status != http.StatusAccepted {
		return a, err
	}
	return w.pushChunks(ctx, a.Location(), b)
}

// mount takes a layer from a repository of anybody's, which may be about to vanish, or uploads it.
func (w *worker) mount(ctx context.Context, repository string, b client.Blob) (client.Answer, error) {
	other := w.names[w.r.IntN(len(w.names))]
	from := []string{other + "/own", other + "/temporary", sharedRepositories[0], sharedRepositories[1]}[w.r.IntN(4)]
	a, err := w.c.V2(ctx, http.MethodPost, repository+"/blobs/uploads/?mount="+b.Digest+"&from="+from, nil)
	if err != nil || a.Status != http.StatusAccepted {
		return a, err
	}
	return w.pushChunks(ctx, a.Location(), b)
}

// pushChunks sends a layer to an upload in up to four chunks, of which the last may come with the request that ends it.
func (w *worker) pushChunks(ctx context.Context, upload string, b client.Blob) (client.Answer, error) {
	cuts := w.cut(len(b.Bytes))
	last := b.Bytes
	for i, cut := range cuts {
		if i == len(cuts)-1 && w.r.IntN(2) == 0 {
			last = b.Bytes[cut.first : cut.last+1]
			break
		}
		last = nil
		a, err := w.c.V2(ctx, http.MethodPatch, upload, b.Bytes[cut.first:cut.last+1], "Content-Range", fmt.Sprintf("%d-%d", cut.first, cut.last))
		if err != nil || a.Status != http.StatusAccepted {
			return a, err
		}
	}
	return w.c.V2(ctx, http.MethodPut, upload+"?digest="+b.Digest, last)
}

// span is a run of bytes from first to last.
type span struct{ first, last int }

func (w *worker) cut(size int) []span {
	var cuts []span
	for at := 0; at < size; {
		end := size
		if len(cuts) < 3 {
			end = at + 1 + w.r.IntN(size-at)
		}
		cuts = append(cuts, span{at, end - 1})
		at = end
	}
	return cuts
}

// pushParts sends a layer with the operations of the API.
func (w *worker) pushParts(ctx context.Context, repository string, b client.Blob) (client.Answer, error) {
	var out struct{ UploadID string }
	a, err := w.c.ECR(ctx, "InitiateLayerUpload", map[string]any{"repositoryName": repository}, &out)
	if err != nil || a.Status != http.StatusOK {
		return a, err
	}
	for _, cut := range w.cut(len(b.Bytes)) {
		a, err := w.c.ECR(ctx, "UploadLayerPart", map[string]any{"repositoryName": repository, "uploadId": out.UploadID,
			"partFirstByte": cut.first, "partLastByte": cut.last, "layerPartBlob": b.Bytes[cut.first : cut.last+1]}, nil)
		if err != nil || a.Status != http.StatusOK {
			return a, err
		}
	}
	return w.c.ECR(ctx, "CompleteLayerUpload", map[string]any{"repositoryName": repository, "uploadId": out.UploadID, "layerDigests": []string{b.Digest}}, nil)
}
