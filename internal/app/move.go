package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/rootkey"
	"github.com/coffer-registry/coffer/internal/store"
)

// MoveOptions say where an installation moves to. What isn't said stays where it is.
type MoveOptions struct {
	// Database is postgres://…, Blobs s3://… or a folder, and Data a data folder for whatever of both has no other place.
	Database, Blobs, Data string
	// Full compares all bytes of the objects, not their sizes alone.
	Full bool
	// Undo takes the marks away that keep a server from starting where the installation was.
	Undo bool
	// Say is told of each step for the operator, and Tell of how far it is.
	Say  func(string)
	Tell func(Transferred)
}

// errFaults means that the copy is not the same, of which was told before.
var errFaults = errors.New("the copy is not what it should be; nothing was switched")

// mover moves one installation.
type mover struct {
	MoveOptions
	source, target Config
	// What moves.
	database, objects bool
	id                string
	from, to          blob.Store
	fromDB, toDB      *store.DB
	locks             []io.Closer
	// switched says that the target may be good to be served.
	switched bool
}

// Move copies an installation to another place: first the objects, while servers may run, then, once they are stopped, the rows and
// the objects that came meanwhile. It compares everything, and leaves a mark so that nobody starts a server where the installation
// was. When it was broken off it can be called again. The result is the configuration of the moved installation.
func Move(ctx context.Context, c Config, o MoveOptions) (_ Config, err error) {
	if err := c.Check(); err != nil {
		return c, err
	}
	m := &mover{MoveOptions: o, source: c}
	defer func() { err = errors.Join(err, m.close()) }()
	if o.Undo {
		return c, m.undo(ctx)
	}
	if err := m.plan(); err != nil {
		return c, err
	}
	return m.target, m.move(ctx)
}

// plan finds out what moves where.
func (m *mover) plan() error {
	if m.Database == "" && m.Blobs == "" && m.Data == "" {
		return errors.New("say where to: --to-database, --to-blobs, --to-data, or more than one of them")
	}
	m.target = m.source
	if m.Data != "" {
		m.target.Data, m.target.Database, m.target.Blobs = m.Data, "", ""
	}
	if m.Database != "" {
		m.target.Database = m.Database
	}
	if m.Blobs != "" {
		m.target.Blobs = m.Blobs
	}
	if m.Data == "" && m.source.Blobs == "" && m.Blobs == "" {
		m.target.Blobs = "" // The folder stays the one of the data folder.
	}
	if err := m.target.Check(); err != nil {
		return fmt.Errorf("the target: %w", err)
	}
	m.database = !samePlace(m.source.databasePlace(), m.target.databasePlace())
	m.objects = !samePlace(m.source.objectsPlace(), m.target.objectsPlace())
	if !m.database && !m.objects {
		return errors.New("the installation is there already: source and target are the same")
	}
	return nil
}

func (m *mover) close() error {
	var errs []error
	for _, db := range []*store.DB{m.fromDB, m.toDB} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	for _, l := range m.locks {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

func (m *mover) move(ctx context.Context) (err error) {
	if err := m.openSource(ctx); err != nil {
		return err
	}
	if m.target.Data != m.source.Data {
		if err := m.lockTarget(); err != nil {
			return err
		}
	}
	if m.objects {
		if m.from, err = openObjects(ctx, m.source.objectsPlace()); err != nil {
			return err
		}
		if m.to, err = openObjects(ctx, m.target.objectsPlace()); err != nil {
			return err
		}
		if err := claim(ctx, m.to, m.id); err != nil {
			return err
		}
	}
	if m.database {
		if err := m.openTarget(ctx); err != nil {
			return err
		}
	}
	if m.objects {
		if err := m.copyObjects(ctx, "copy objects"); err != nil {
			return err
		}
		if m.Full {
			if err := m.compareObjects(ctx, true); err != nil {
				return err
			}
		}
	}
	return m.switchOver(ctx)
}

// switchOver does what no server may disturb. When it fails, servers can start again where the installation was.
func (m *mover) switchOver(ctx context.Context) error {
	err := m.stopSource(ctx)
	if err == nil {
		err = m.finish(ctx)
	}
	if err == nil || m.switched || m.source.Database == "" {
		return err
	}
	return errors.Join(err, m.fromDB.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		return store.PutMark(tx, store.MarkMoved, nil)
	}))
}

// openSource learns which installation it is. The database in a folder is opened only once no server has it.
func (m *mover) openSource(ctx context.Context) (err error) {
	c := m.source
	if c.Database != "" {
		if m.fromDB, err = openFor(ctx, c, "coffer-move", 0); err != nil {
			return err
		}
		m.id, err = m.fromDB.Installation(ctx)
	} else if _, statErr := os.Stat(filepath.Join(c.Data, store.FileName)); statErr != nil {
		return fmt.Errorf("the data folder %s holds no database; say which --data or --database the installation has", c.Data)
	} else if err = askServer(ctx, c.Data, http.MethodGet, "/installation", nil, &m.id); errors.Is(err, errNotRunning) {
		if err := m.lockSource(ctx); err != nil {
			return err
		}
		m.id, err = m.fromDB.Installation(ctx)
	}
	if err == nil && m.id == "" {
		err = errNoInstallation(c)
	}
	if err != nil || m.fromDB == nil {
		return err
	}
	return m.checkSource(ctx)
}

// lockSource opens the database of a folder.
func (m *mover) lockSource(ctx context.Context) error {
	lock, err := store.LockDir(m.source.Data)
	if err != nil {
		return err
	}
	m.locks = append(m.locks, lock)
	m.fromDB, err = openFor(ctx, m.source, "coffer-move", 0)
	return err
}

// checkSource refuses a source that isn't whole, and one that was moved, unless that was to the same place.
func (m *mover) checkSource(ctx context.Context) error {
	marks, err := viewMarks(ctx, m.fromDB)
	if err != nil {
		return err
	}
	if marks.moved != nil && marks.moved.To == m.there() {
		marks.moved = nil // A move that was broken off goes on.
	}
	if marks.incomplete == nil && marks.moved == nil && (marks.objects == nil || sameObjects(marks.objects.To, m.source)) {
		return nil
	}
	return checkMarks(ctx, m.source, m.fromDB)
}

// there names the target for the marks.
func (m *mover) there() string {
	if !m.database {
		return m.objectsThere()
	}
	place := PublicPlace(m.target.databasePlace())
	if m.target.Database == "" {
		if abs, err := filepath.Abs(place); err == nil {
			place = abs
		}
	}
	return place
}

// objectsThere names where the objects will be.
func (m *mover) objectsThere() string {
	if m.target.Blobs == "" {
		return folderOfObjects
	}
	return PublicPlace(m.target.objectsPlace())
}

func (m *mover) lockTarget() error {
	if err := os.MkdirAll(m.target.Data, 0o700); err != nil {
		return fmt.Errorf("--to-data %s: %w", m.target.Data, err)
	}
	lock, err := store.LockDir(m.target.Data)
	if err == nil {
		m.locks = append(m.locks, lock)
	}
	return err
}

// openTarget opens the database that is to be filled, and marks it so that no server works with it until it is whole. One that has
// rows is taken only if an earlier move to it was broken off, or if it is where this installation was moved away from.
func (m *mover) openTarget(ctx context.Context) (err error) {
	if m.toDB, err = openFor(ctx, m.target, "coffer-move", 0); err != nil {
		return err
	}
	return reserve(ctx, m.toDB, m.target, store.Mark{Installation: m.id, What: "coffer move", From: PublicPlace(m.source.databasePlace())})
}

// reserve marks a database as one that is being filled, if it may be. Its rows stay for now.
func reserve(ctx context.Context, db *store.DB, c Config, mark store.Mark) error {
	where := PublicPlace(c.databasePlace())
	marks, err := viewMarks(ctx, db)
	if err != nil {
		return err
	}
	id, err := db.Installation(ctx)
	if err != nil {
		return err
	}
	vacant, err := db.Vacant(ctx)
	if err != nil {
		return err
	}
	switch {
	case marks.incomplete != nil && marks.incomplete.Installation != mark.Installation:
		return fmt.Errorf("the target %s is being filled with another installation, by %s", where, marks.incomplete.What)
	case marks.incomplete != nil, vacant:
	case marks.moved != nil && id == mark.Installation:
	case id == mark.Installation:
		return fmt.Errorf("the target %s holds this installation already; empty it first if what it holds is not needed", where)
	case id != "":
		return fmt.Errorf("the target %s holds another installation; name an empty database", where)
	default:
		return fmt.Errorf("the target %s is not empty; name an empty database", where)
	}
	mark.At = db.Now()
	return db.Update(ctx, func(tx *store.Tx) error { return store.PutMark(tx, store.MarkIncomplete, &mark) })
}

func (m *mover) transfer() *transfer { return &transfer{from: m.from, to: m.to, tell: m.Tell} }

func (m *mover) wanted(ctx context.Context) iter.Seq2[blob.Info, error] {
	return committed(ctx, m.from)
}

func (m *mover) copyObjects(ctx context.Context, step string) error {
	t := m.transfer()
	t.begin(step)
	if err := t.total(m.wanted(ctx)); err != nil {
		return err
	}
	if err := t.copy(ctx, m.wanted(ctx)); err != nil {
		return err
	}
	m.Say(fmt.Sprintf("%s: %d objects, %d bytes, of which %d objects were not there yet", step, t.done.Objects, t.done.Bytes, t.done.Copied))
	return nil
}

func (m *mover) compareObjects(ctx context.Context, full bool) error {
	t := m.transfer()
	step := "compare the sizes of objects"
	if full {
		step = "compare the bytes of objects"
	}
	t.begin(step)
	if err := t.total(m.wanted(ctx)); err != nil {
		return err
	}
	faults := 0
	if err := t.compare(ctx, m.wanted(ctx), full, func(text string) { faults++; m.Say("fault: " + text) }); err != nil {
		return err
	}
	m.Say(fmt.Sprintf("%s: %d objects, %d faults", step, t.done.Objects, faults))
	if faults > 0 {
		return errFaults
	}
	return nil
}

// waitPause is how often it is looked whether the servers have stopped.
const waitPause = 200 * time.Millisecond

// stopSource waits until no server works with the source any more. From then on none can: a folder is locked, and a database
// that servers share is marked before.
func (m *mover) stopSource(ctx context.Context) error {
	if m.source.Database != "" {
		if err := m.mark(ctx, store.MarkMoved); err != nil {
			return err
		}
	}
	told := false
	for {
		stopped, err := m.stopped(ctx)
		if err != nil || stopped {
			return err
		}
		if !told {
			m.Say("stop all servers of " + PublicPlace(m.source.databasePlace()) + " now; the move goes on by itself once they have stopped")
			told = true
		}
		timer := time.NewTimer(waitPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (m *mover) stopped(ctx context.Context) (bool, error) {
	if m.source.Database != "" {
		n, err := m.fromDB.Sessions(ctx)
		return n == 0, err
	}
	if m.fromDB != nil {
		return true, nil
	}
	err := m.lockSource(ctx)
	if errors.Is(err, store.ErrLocked) {
		return false, nil
	}
	if err == nil {
		err = m.checkSource(ctx)
	}
	return err == nil, err
}

// mark says in the source where the installation goes.
func (m *mover) mark(ctx context.Context, name string) error {
	mark := &store.Mark{Installation: m.id, What: "coffer move", To: m.there(), At: m.fromDB.Now()}
	if name == store.MarkObjects {
		mark.To = m.objectsThere()
	}
	return m.fromDB.Update(ctx, func(tx *store.Tx) error {
		if name == store.MarkObjects {
			if err := store.PutMark(tx, store.MarkMoved, nil); err != nil {
				return err
			}
		}
		return store.PutMark(tx, name, mark)
	})
}

// finish copies and compares what is left, and switches.
func (m *mover) finish(ctx context.Context) error {
	if m.objects {
		if err := m.copyObjects(ctx, "copy the objects that came meanwhile"); err != nil {
			return err
		}
		if err := m.compareObjects(ctx, false); err != nil {
			return err
		}
	}
	if err := m.checkReferences(ctx); err != nil {
		return err
	}
	if !m.database {
		return m.mark(ctx, store.MarkObjects)
	}
	if err := m.copyRows(ctx); err != nil {
		return err
	}
	if err := m.copyRootKey(); err != nil {
		return err
	}
	// Whatever the answer, it may have happened: from here on the source stays marked, so that never both places are served.
	m.switched = true
	if err := m.mark(ctx, store.MarkMoved); err != nil {
		return err
	}
	return complete(ctx, m.toDB)
}

// complete takes away what keeps servers from a database that was filled.
func complete(ctx context.Context, db *store.DB) error {
	return db.Update(ctx, func(tx *store.Tx) error {
		for _, name := range []string{store.MarkIncomplete, store.MarkMoved, store.MarkObjects} {
			if err := store.PutMark(tx, name, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkReferences finds objects that layers refer to and that aren't where they will be looked for.
func (m *mover) checkReferences(ctx context.Context) error {
	blobs, err := openObjects(ctx, m.target.objectsPlace())
	if err != nil {
		return err
	}
	missing := 0
	err = m.fromDB.Snapshot(ctx, func(tx *store.Tx) error {
		for entry, err := range registry.Inventory(ctx, tx, blobs) {
			if err != nil {
				return err
			}
			if entry.Missing {
				missing++
				m.Say("fault: object " + entry.Object + " of a layer is missing")
			}
		}
		return nil
	})
	if err == nil && missing > 0 {
		err = errFaults
	}
	return err
}

// copyOptions leave unfinished uploads behind when the objects move: what was written of them has a form that only its own
// store knows. Clients begin them anew.
func (m *mover) copyOptions(tell func(Transferred)) store.CopyOptions {
	o := store.CopyOptions{}
	if m.objects {
		o.Without = []string{"upload"}
	}
	if tell != nil {
		o.Tell = rowTeller("copy rows", tell)
	}
	return o
}

// rowTeller counts rows over all tables.
func rowTeller(step string, tell func(Transferred)) func(string, int64) {
	var before, last int64
	table := ""
	return func(t string, rows int64) {
		if t != table {
			before, table = before+last, t
		}
		last = rows
		tell(Transferred{Step: step, Rows: before + rows, Table: t})
	}
}

func (m *mover) copyRows(ctx context.Context) error {
	if err := m.toDB.Empty(ctx); err != nil {
		return err
	}
	copied, err := store.Copy(ctx, m.fromDB, m.toDB, m.copyOptions(m.Tell))
	if err != nil {
		return fmt.Errorf("copy the rows: %w", err)
	}
	m.Say(fmt.Sprintf("copied %d rows of %d tables", copied.Rows(), len(copied)))
	return m.compareRows(ctx)
}

// compareRows reads all rows again on both sides.
func (m *mover) compareRows(ctx context.Context) error {
	o := m.copyOptions(nil)
	source, err := m.fromDB.Contents(ctx, o)
	if err != nil {
		return err
	}
	target, err := m.toDB.Contents(ctx, store.CopyOptions{})
	if err != nil {
		return err
	}
	faults := source.Differences(target)
	for _, fault := range faults {
		m.Say("fault: " + fault)
	}
	m.Say(fmt.Sprintf("compared %d rows of %d tables, %d faults", source.Rows(), len(source), len(faults)))
	if len(faults) > 0 {
		return errFaults
	}
	return nil
}

// copyRootKey brings the root key into the new data folder, if it is the file in the old one. Any other stays the
// operator's to give.
func (m *mover) copyRootKey() error {
	if m.Data == "" || m.source.RootKey != "" || m.source.Data == m.target.Data {
		return nil
	}
	from, _ := rootkey.FilePath(m.source.rootKey())
	to, _ := rootkey.FilePath(m.target.rootKey())
	text, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy the root key: %w", err)
	}
	there, err := os.ReadFile(to)
	switch {
	case err == nil && bytes.Equal(text, there):
		return nil
	case err == nil:
		return fmt.Errorf("%s is the root key of something else; move it away", to)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("copy the root key: %w", err)
	}
	m.Say("copied the root key to " + to)
	return nil
}

// undo takes the marks of the source away.
func (m *mover) undo(ctx context.Context) error {
	if m.Database != "" || m.Blobs != "" || m.Data != "" {
		return errors.New("--undo goes without --to-database, --to-blobs and --to-data: it is about the place that was moved from")
	}
	var err error
	if m.source.Database == "" {
		if _, statErr := os.Stat(filepath.Join(m.source.Data, store.FileName)); statErr != nil {
			return fmt.Errorf("the data folder %s holds no database", m.source.Data)
		}
		err = m.lockSource(ctx)
	} else {
		m.fromDB, err = openFor(ctx, m.source, "coffer-move", 0)
	}
	if err != nil {
		return err
	}
	marks, err := viewMarks(ctx, m.fromDB)
	if err != nil {
		return err
	}
	if marks.moved == nil && marks.objects == nil {
		return fmt.Errorf("the installation in %s was not moved", PublicPlace(m.source.databasePlace()))
	}
	return m.fromDB.Update(ctx, func(tx *store.Tx) error {
		if err := store.PutMark(tx, store.MarkMoved, nil); err != nil {
			return err
		}
		return store.PutMark(tx, store.MarkObjects, nil)
	})
}

// openFor opens the database of a configuration for a command. schema is that which it is to have; 0 is the newest.
func openFor(ctx context.Context, c Config, application string, schema int64) (*store.DB, error) {
	o := store.Options{Application: application, Schema: schema}
	if c.Database != "" {
		return store.OpenURL(ctx, c.Database, o)
	}
	return store.Open(ctx, c.Data, o)
}

// serveMove are the handlers of the control socket.
func (s *Server) serveMove(mux *http.ServeMux) {
	mux.HandleFunc("GET /installation", func(w http.ResponseWriter, r *http.Request) {
		reply(w, s.state.keys.Installation(), nil)
	})
}
