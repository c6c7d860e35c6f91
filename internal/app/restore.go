package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/store"
)

// RestoreOptions say what is restored.
type RestoreOptions struct {
	// Folder is that of the backups, and Name the backup's; empty is the newest.
	Folder, Name string
	// Say is told of each step for the operator, and Tell of how far it is.
	Say  func(string)
	Tell func(Transferred)
}

// errIncomplete means that what was restored is not whole, of which was told before.
var errIncomplete = errors.New("the backup could not be restored as a whole; no server starts on what there is")

// Restore restores a backup into the empty place of a configuration, with the root of trust that the backup was made with. No server
// works with it until it is whole; when it was broken off it can be called again.
func Restore(ctx context.Context, c Config, o RestoreOptions) (b Backup, err error) {
	if err := c.Check(); err != nil {
		return b, err
	}
	if b, err = FindBackup(o.Folder, o.Name); err != nil {
		return b, err
	}
	r := &restorer{RestoreOptions: o, backup: b, set: backupSet(o.Folder), target: c}
	defer func() { err = errors.Join(err, r.close()) }()
	return b, r.restore(ctx)
}

type restorer struct {
	RestoreOptions
	backup Backup
	set    backupSet
	target Config
	rows   io.ReadCloser
	lock   io.Closer
	db     *store.DB
	blobs  blob.Store
}

func (r *restorer) close() error {
	var errs []error
	for _, c := range []io.Closer{r.rows, r.lock} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	if r.db != nil {
		errs = append(errs, r.db.Close())
	}
	return errors.Join(errs...)
}

func (r *restorer) restore(ctx context.Context) (err error) {
	if err := r.set.checkInventory(r.backup); err != nil {
		return err
	}
	if err := r.openRows(ctx); err != nil {
		return err
	}
	if err := r.openTarget(ctx); err != nil {
		return err
	}
	if r.backup.WithObjects {
		if err := r.copyObjects(ctx); err != nil {
			return err
		}
	}
	if err := r.loadRows(ctx); err != nil {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	return complete(ctx, r.db)
}

// openRows opens the rows with the root of trust of the target.
func (r *restorer) openRows(ctx context.Context) error {
	if path, isFile := rootkey.FilePath(r.target.rootKey()); isFile {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("the root key %s is missing: put the copy there that belongs to the backup, or name it by --root-key file:PATH", path)
		}
	}
	root, err := rootkey.Open(r.target.rootKey(), rootkey.Options{})
	if err != nil {
		return err
	}
	key, err := r.backup.openKey(ctx, root)
	if err != nil {
		return err
	}
	r.rows, err = r.set.rows(r.backup, key)
	return err
}

func (r *restorer) openTarget(ctx context.Context) (err error) {
	if err := os.MkdirAll(r.target.Data, 0o700); err != nil {
		return fmt.Errorf("data folder %s: %w", r.target.Data, err)
	}
	if r.lock, err = store.LockDir(r.target.Data); err != nil {
		return err
	}
	if r.db, err = openFor(ctx, r.target, "coffer-restore", r.backup.Schema); err != nil {
		return err
	}
	mark := store.Mark{Installation: r.backup.Installation, What: "coffer restore", From: r.Folder}
	if err := reserve(ctx, r.db, r.target, mark); err != nil {
		return err
	}
	if r.blobs, err = openObjects(ctx, r.target.objectsPlace()); err != nil {
		return err
	}
	return claim(ctx, r.blobs, r.backup.Installation)
}

func (r *restorer) copyObjects(ctx context.Context) error {
	from, err := blob.OpenFolder(filepath.Join(r.Folder, backupObjects))
	if err != nil {
		return err
	}
	t := &transfer{from: from, to: r.blobs, tell: r.Tell}
	t.begin("copy objects")
	t.note(func(d *Transferred) { d.AllObjects, d.AllBytes = r.backup.Objects, r.backup.Bytes })
	if err := t.copy(ctx, r.set.objects(r.backup)); err != nil {
		return err
	}
	r.Say(fmt.Sprintf("copied objects: %d, %d bytes, of which %d objects were not there yet", t.done.Objects, t.done.Bytes, t.done.Copied))
	return nil
}

func (r *restorer) loadRows(ctx context.Context) error {
	if err := r.db.Empty(ctx); err != nil {
		return err
	}
	loaded, err := r.db.Load(ctx, r.rows, store.CopyOptions{Tell: rowTeller("copy rows", r.Tell)})
	if err != nil {
		return fmt.Errorf("copy the rows: %w", err)
	}
	// What is left of the file is read too, so that a damage there is found.
	if _, err := io.Copy(io.Discard, r.rows); err != nil {
		return fmt.Errorf("copy the rows: %w", err)
	}
	there, err := r.db.Contents(ctx, store.CopyOptions{})
	if err != nil {
		return err
	}
	faults := loaded.Differences(there)
	if loaded.Rows() != r.backup.Rows {
		faults = append(faults, fmt.Sprintf("the backup has %d rows in place of %d", loaded.Rows(), r.backup.Rows))
	}
	for _, fault := range faults {
		r.Say("fault: " + fault)
	}
	if len(faults) > 0 {
		return errIncomplete
	}
	r.Say(fmt.Sprintf("copied and compared %d rows of %d tables", loaded.Rows(), len(loaded)))
	return nil
}

// verify looks for every object that the rows refer to.
func (r *restorer) verify(ctx context.Context) error {
	faults := 0
	t := &transfer{from: r.blobs, to: r.blobs, tell: r.Tell}
	t.begin("look for objects")
	err := t.compare(ctx, r.set.objects(r.backup), false, func(text string) {
		faults++
		r.Say("fault: " + text)
	})
	if err != nil {
		return err
	}
	if faults > 0 {
		return errIncomplete
	}
	r.Say(fmt.Sprintf("found all %d objects", r.backup.Objects))
	return nil
}

// VerifyBackup restores the rows of a backup into a temporary folder and looks for its objects in the folder of backups, without
// changing anything. c has the root of trust.
func VerifyBackup(ctx context.Context, c Config, o RestoreOptions) (b Backup, err error) {
	if b, err = FindBackup(o.Folder, o.Name); err != nil {
		return b, err
	}
	scratch, err := os.MkdirTemp("", "coffer-verify-")
	if err != nil {
		return b, err
	}
	defer os.RemoveAll(scratch)
	target := c
	target.RootKey, target.Data, target.Database, target.Blobs = c.rootKey(), filepath.Join(scratch, "data"), "", ""
	r := &restorer{RestoreOptions: o, backup: b, set: backupSet(o.Folder), target: target}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.set.checkInventory(b); err != nil {
		return b, err
	}
	if err := r.openRows(ctx); err != nil {
		return b, err
	}
	if err := os.Mkdir(target.Data, 0o700); err != nil {
		return b, err
	}
	if r.db, err = openFor(ctx, target, "coffer-verify", b.Schema); err != nil {
		return b, err
	}
	if err := r.loadRows(ctx); err != nil {
		return b, err
	}
	if !b.WithObjects {
		return b, nil
	}
	if r.blobs, err = blob.OpenFolder(filepath.Join(o.Folder, backupObjects)); err != nil {
		return b, err
	}
	return b, r.verify(ctx)
}

// reportEvery is how often a server tells how far something is.
const reportEvery = 200 * time.Millisecond

// nowAndThen passes on what it is told, but not more often than in an interval.
func nowAndThen(interval time.Duration, tell func(Transferred)) func(Transferred) {
	var last time.Time
	return func(t Transferred) {
		if now := time.Now(); now.Sub(last) >= interval {
			last = now
			tell(t)
		}
	}
}
