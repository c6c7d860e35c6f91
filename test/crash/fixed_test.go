package crash

import (
	"context"
	"fmt"
	"net/http"
)

// pushFixed pushes an image under an immutable tag that other workers push at the same time, and reads the tag.
func (w *worker) pushFixed(ctx context.Context) bool {
	turn := w.turn.Load()
	defer w.turn.CompareAndSwap(turn, turn+1)
	tag := fmt.Sprintf("r%d", turn)
	i := newImage(w.newName(), []blob{w.common[w.r.IntN(len(w.common))]})
	if ok, done := w.pushBlobs(ctx, fixedRepository, i); !done {
		return ok
	}
	// The worker's own state has the image and not the tag, which is everybody's.
	a, err := w.change(w.state.pushed(fixedRepository, i, ""), func() (answer, error) { return w.sendManifest(ctx, fixedRepository, i, tag) })
	if err != nil {
		return w.failed("push an immutable tag", a, err)
	}
	switch {
	case a.status < 300:
		if other := w.fixed.see(tag, i.digest); other != "" {
			w.t.Errorf("the immutable tag %s was given to %s and to %s", tag, other, i.digest)
		}
	case a.code() == "TAG_INVALID" || a.code() == "ImageTagAlreadyExistsException":
	case w.mayVanish(a):
		return true
	default:
		return w.failed("push an immutable tag", a, nil)
	}
	return w.readFixed(ctx, tag)
}

func (w *worker) readFixed(ctx context.Context, tag string) bool {
	a, err := w.c.v2(ctx, http.MethodHead, fixedRepository+"/manifests/"+tag, nil)
	if err != nil || a.status != http.StatusOK {
		return w.failed("read an immutable tag", a, err)
	}
	if other := w.fixed.see(tag, a.header.Get("Docker-Content-Digest")); other != "" {
		w.t.Errorf("the immutable tag %s shows %s and before %s", tag, a.header.Get("Docker-Content-Digest"), other)
	}
	return true
}
