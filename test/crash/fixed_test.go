package crash

import (
	"context"
	"fmt"
	"net/http"

	"github.com/coffer-registry/coffer/test/client"
)

// pushFixed pushes an image under an immutable tag that other workers push at the same time, and reads the tag.
func (w *worker) pushFixed(ctx context.Context) bool {
	turn := w.turn.Load()
	defer w.turn.CompareAndSwap(turn, turn+1)
	tag := fmt.Sprintf("r%d", turn)
	i := client.NewImage(w.newName(), []client.Blob{w.common[w.r.IntN(len(w.common))]})
	if ok, done := w.pushBlobs(ctx, fixedRepository, i); !done {
		return ok
	}
	// The worker's own state has the image and not the tag, which is everybody's.
	a, err := w.change(w.state.pushed(fixedRepository, i, ""), func() (client.Answer, error) { return w.sendManifest(ctx, fixedRepository, i, tag) })
	if err != nil {
		return w.failed("push an immutable tag", a, err)
	}
	switch {
	case a.Status < 300:
		if other := w.fixed.see(tag, i.Digest); other != "" {
			w.t.Errorf("the immutable tag %s was given to %s and to %s", tag, other, i.Digest)
		}
	case a.Code() == "TAG_INVALID" || a.Code() == "ImageTagAlreadyExistsException":
	case w.mayVanish(a):
		return true
	default:
		return w.failed("push an immutable tag", a, nil)
	}
	return w.readFixed(ctx, tag)
}

func (w *worker) readFixed(ctx context.Context, tag string) bool {
	a, err := w.c.V2(ctx, http.MethodHead, fixedRepository+"/manifests/"+tag, nil)
	if err != nil || a.Status != http.StatusOK {
		return w.failed("read an immutable tag", a, err)
	}
	if other := w.fixed.see(tag, a.Header.Get("Docker-Content-Digest")); other != "" {
		w.t.Errorf("the immutable tag %s shows %s and before %s", tag, a.Header.Get("Docker-Content-Digest"), other)
	}
	return true
}
