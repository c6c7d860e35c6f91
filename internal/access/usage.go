package access

import (
	"strings"

	"github.com/coffer-registry/coffer/internal/iam"
)

// noteUse notes that a caller was authenticated and asked for something, whether or not it may have it: that its access key
// was used, unless it is that of a session, and what its user or role called.
func (d *Door) noteUse(r *Request) {
	if d.usage == nil || r.Caller.Anonymous() {
		return
	}
	use := iam.Use{Region: r.Region}
	if r.Caller.Session == nil {
		use.Key = r.Caller.AccessKeyID
	}
	if st := r.Caller.Standing; st != nil {
		use.Entity, use.Kind = st.ID, st.Kind
	}
	if len(r.Questions) == 0 {
		use.Service, _, _ = strings.Cut(r.Source, ".")
		d.usage.Note(use)
	}
	for i, q := range r.Questions {
		if i > 0 && q.Action == r.Questions[i-1].Action {
			continue
		}
		use.Service, use.Action, _ = strings.Cut(q.Action, ":")
		d.usage.Note(use)
	}
}
