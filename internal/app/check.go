package app

import (
	"context"
	"fmt"

	"github.com/coffer-registry/coffer/internal/access"
	"github.com/coffer-registry/coffer/internal/federation"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/registry"
)

// Checked counts what Check has looked at.
type Checked struct {
	registry.Checked
	Identity iam.Checked
	Customer kms.Checked
	// Records of the trail.
	Records int64
}

// Check holds every row of a data folder against every other row, object and key that it depends on. It tells fault in one sentence of each thing that
// is wrong, and progress now and then how far it is. The error is what keeps it from going on; store.ErrLocked if a server
// runs on the folder.
//
// A database that is shared may change meanwhile, so that one thing was looked at before a change and another after it. What seems
// wrong there is looked for again, and told if it still is.
func Check(ctx context.Context, c Config, fault func(string), progress func(Checked)) (done Checked, err error) {
	err = withState(ctx, c, func(st *state) error {
		if c.Database == "" {
			done, err = st.check(ctx, c, fault, progress)
			return err
		}
		suspected := map[string]bool{}
		if done, err = st.check(ctx, c, func(text string) { suspected[text] = true }, progress); err != nil || len(suspected) == 0 {
			return err
		}
		done, err = st.check(ctx, c, func(text string) {
			if suspected[text] {
				fault(text)
			}
		}, progress)
		return err
	})
	return done, err
}

// check goes over everything once.
func (st *state) check(ctx context.Context, c Config, fault func(string), progress func(Checked)) (done Checked, err error) {
	if err := st.db.Check(ctx, fault); err != nil {
		return done, err
	}
	if done.Identity, err = st.iam.Check(ctx, readMetadata, fault); err != nil {
		return done, err
	}
	progress(done)
	if err := st.organization.Check(ctx, fault); err != nil {
		return done, err
	}
	if done.Customer, err = st.customer.Check(ctx, fault); err != nil {
		return done, err
	}
	limits, err := registry.NewLimits(c.Limits)
	if err != nil {
		return done, err
	}
	r := st.registry(limits)
	if done.Checked, err = r.Check(ctx, fault, func(now registry.Checked) {
		done.Checked = now
		progress(done)
	}); err != nil {
		return done, err
	}
	return done, checkTrail(ctx, st, fault, func(records int64) {
		done.Records += records
		progress(done)
	})
}

// registry opens the registries for a check, which leaves no records.
func (st *state) registry(limits registry.Limits) *registry.Registry {
	return registry.New(registry.Config{DB: st.db, Blobs: st.blobs, Keyring: st.keys, Customer: access.NewServiceKeys(st.customer, nil, nil), Limits: limits})
}

// CheckKeys opens the key of every repository and object, and tells each under which key it is and whether it opens. The error is as
// of Check.
func CheckKeys(ctx context.Context, c Config, tell func(registry.KeyFact)) error {
	return withState(ctx, c, func(st *state) error {
		limits, err := registry.NewLimits(c.Limits)
		if err != nil {
			return err
		}
		return st.registry(limits).CheckKeys(ctx, tell)
	})
}

// readMetadata reads the document of a SAML provider.
func readMetadata(document string) error {
	_, err := federation.ParseMetadata(document)
	return err
}

// checkTrail opens every segment of the trail.
func checkTrail(ctx context.Context, st *state, fault func(string), read func(records int64)) error {
	reader, err := st.trailReader()
	if err != nil {
		return err
	}
	defer reader.Close()
	return reader.Check(ctx, func(text string) { fault(fmt.Sprintf("trail: %s", text)) }, read)
}
