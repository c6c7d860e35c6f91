package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coffer-registry/coffer/internal/app"
	"github.com/coffer-registry/coffer/internal/iam"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

type fsckCommand struct {
	configured
	Keys bool `help:"List the key of every repository and object, check that each opens, and read nothing else."`
}

// Run checks the data folder, names on standard output what is wrong, and fails if anything is.
func (f *fsckCommand) Run(c console) error {
	ctx, cancel := untilInterrupted()
	defer cancel()
	if f.Keys {
		return f.listKeys(ctx, c)
	}
	faults := 0
	p := progress{w: c.err, shown: isTerminal(c.err)}
	done, err := app.Check(ctx, f.Config, func(text string) {
		p.clear()
		faults++
		fmt.Fprintln(c.out, text)
	}, func(now app.Checked) { p.show(summary(now)) })
	p.clear()
	if err := explainLock(err); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "checked %s\n", summary(done))
	fmt.Fprintf(c.out, "checked %s\n", identitySummary(done.Identity))
	fmt.Fprintf(c.out, "checked %s of KMS with %s\n", number(done.Customer.Keys, "key", "keys"), number(done.Customer.Materials, "material", "materials"))
	switch {
	case done.Orphans == 1:
		fmt.Fprintln(c.out, "1 object belongs to nothing, as a crash can leave it; the server sweeps it in time")
	case done.Orphans > 1:
		fmt.Fprintf(c.out, "%d objects belong to nothing, as a crash can leave them; the server sweeps them in time\n", done.Orphans)
	}
	if done.Closed > 0 {
		fmt.Fprintf(c.out, "%s could not be checked, since the KMS key can't be used now\n", number(done.Closed, "repository", "repositories"))
	}
	if faults > 0 {
		fmt.Fprintln(c.out, number(faults, "fault", "faults"))
		return errQuiet
	}
	fmt.Fprintln(c.out, "no faults")
	return nil
}

// explainLock says what to do about a server that runs on the data.
func explainLock(err error) error {
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w; stop the server before you check its data", err)
	}
	return err
}

// listKeys lists under which key everything is that is sealed, a line each, for auditors and for programs.
func (f *fsckCommand) listKeys(ctx context.Context, c console) error {
	var opened, faults int
	err := app.CheckKeys(ctx, f.Config, func(fact registry.KeyFact) {
		state := "opens"
		if fact.Err != nil {
			faults++
			state = "DOES NOT OPEN: " + fact.Err.Error()
		} else {
			opened++
		}
		fmt.Fprintf(c.out, "%s %s %s\n", sealedThing(fact), keyChain(fact), state)
	})
	if err := explainLock(err); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s, %s\n", number(opened, "key opens", "keys open"), number(faults, "key does not", "keys do not"))
	if faults > 0 {
		return errQuiet
	}
	return nil
}

func sealedThing(fact registry.KeyFact) string {
	if fact.Object == "" {
		return fact.Repository + " manifests"
	}
	return fact.Repository + " object " + fact.Object
}

// keyChain names the keys from the one at hand up to the one that wraps it.
func keyChain(fact registry.KeyFact) string {
	text := fact.Encryption.Type
	if fact.Encryption.Key != "" {
		text += " key " + fact.Encryption.Key + " material " + fact.Material
	}
	if fact.ServiceKey != "" {
		text += " service-key " + fact.ServiceKey
	}
	return text
}

func summary(c app.Checked) string {
	return fmt.Sprintf("%s, %s, %s in %s (%.1f MiB), %s, %s of the trail",
		number(c.Repositories, "repository", "repositories"), number(c.Images, "image", "images"), number(c.Layers, "layer", "layers"),
		number(c.Objects, "object", "objects"), float64(c.Bytes)/(1<<20), number(c.Uploads, "upload", "uploads"), number(c.Records, "record", "records"))
}

func identitySummary(c iam.Checked) string {
	return fmt.Sprintf("%s with %s, %s, %s, %s and %s",
		number(c.Identities, "identity", "identities"), number(c.Policies, "policy", "policies"), number(c.AccessKeys, "access key", "access keys"),
		number(c.Passwords, "password", "passwords"), number(c.Devices, "MFA device", "MFA devices"), number(c.Links, "reference", "references"))
}

// number is so many of something, in words.
func number[N int | int64](n N, one, more string) string {
	if n == 1 {
		more = one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// progress is a line on a terminal that is written over.
type progress struct {
	w     io.Writer
	shown bool
	last  time.Time
}

func (p *progress) show(text string) {
	if !p.shown || time.Since(p.last) < 200*time.Millisecond {
		return
	}
	p.last = time.Now()
	fmt.Fprintf(p.w, "\r\x1b[K%s", text)
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
