package app

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/registry"
	"github.com/coffer-registry/coffer/internal/store"
)

// BackupOptions say where a backup goes.
type BackupOptions struct {
	// Folder is that of the backups; it is made if it is missing, but not its parent.
	Folder string
	// Inventory leaves the objects where they are, and notes which there must be.
	Inventory bool
	// Tell is told how far it is.
	Tell func(Transferred)
}

// backupAttempts is how often a snapshot is taken of an installation whose objects are swept faster than they are copied.
const backupAttempts = 3

// errSwept means that objects of a snapshot were swept before they were copied.
var errSwept = errors.New("objects were deleted while they were to be copied")

// MakeBackup makes a backup of an installation while it is served: through the running server of a data folder, from PostgreSQL beside its
// servers, and else from the data folder.
func MakeBackup(ctx context.Context, c Config, o BackupOptions) (b Backup, err error) {
	if o.Folder == "" {
		return b, errors.New("--to must name a folder")
	}
	if o.Folder, err = filepath.Abs(o.Folder); err != nil { // The server may run in another folder.
		return b, err
	}
	if c.Database == "" {
		if b, err = backupByServer(ctx, c.Data, o); !errors.Is(err, errNotRunning) {
			return b, err
		}
	}
	err = withState(ctx, c, func(st *state) error {
		b, err = st.backup(ctx, o)
		return err
	})
	return b, err
}

// backup makes a backup: the objects first, which takes longest, then a snapshot of the rows, and then the objects that came meanwhile.
func (st *state) backup(ctx context.Context, o BackupOptions) (b Backup, err error) {
	if err := os.Mkdir(o.Folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return b, fmt.Errorf("make the folder of backups: %w", err)
	}
	t := &transfer{from: st.blobs, tell: o.Tell}
	if !o.Inventory {
		folder, err := blob.OpenFolder(filepath.Join(o.Folder, backupObjects))
		if err != nil {
			return b, err
		}
		if err := folder.Claim(ctx, st.keys.Installation()); err != nil {
			return b, err
		}
		t.to = folder
		t.begin("copy objects")
		if err := t.total(committed(ctx, st.blobs)); err != nil {
			return b, err
		}
		if err := t.copy(ctx, committed(ctx, st.blobs)); err != nil {
			return b, err
		}
	}
	for range backupAttempts {
		if b, err = st.snapshot(ctx, backupSet(o.Folder), t, o); !errors.Is(err, errSwept) {
			return b, err
		}
	}
	return b, fmt.Errorf("%w %d times: try again when less is deleted", err, backupAttempts)
}

// snapshot makes the files of a backup, of one state of the database.
func (st *state) snapshot(ctx context.Context, set backupSet, t *transfer, o BackupOptions) (b Backup, err error) {
	now := st.db.Now().UTC()
	b = Backup{Version: backupVersion, Name: now.Format(backupLayout), At: now, Installation: st.keys.Installation(), WithObjects: !o.Inventory,
		Root: st.keys.RootName()}
	key, wrapped, err := st.keys.NewBackupKey(ctx, b.Name)
	if err != nil {
		return b, err
	}
	b.Key = wrapped
	defer func() {
		if err != nil {
			err = errors.Join(err, set.drop(b))
		}
	}()
	// Uploads that are under way are begun anew by their clients.
	rows := store.CopyOptions{Without: []string{"upload"}, Tell: rowTeller("copy rows", o.Tell)}
	err = st.db.Snapshot(ctx, func(tx *store.Tx) error {
		if err := tx.QueryRow(`SELECT max(version) FROM schema_version`).Scan(&b.Schema); err != nil {
			return err
		}
		contents, err := set.writeRows(ctx, st.db, tx, b, key, rows)
		if err != nil {
			return err
		}
		b.Rows = contents.Rows()
		return set.writeInventory(&b, inventory(ctx, tx, st.blobs))
	})
	if err != nil {
		return b, err
	}
	if !o.Inventory {
		t.begin("copy the objects that came meanwhile")
		if err := t.copy(ctx, set.objects(b)); err != nil {
			return b, err
		}
		missing := 0
		if err := t.compare(ctx, set.objects(b), false, func(string) { missing++ }); err != nil {
			return b, err
		}
		if missing > 0 {
			return b, errSwept
		}
	}
	return b, set.describe(b)
}

// inventory gives the objects that the rows of a transaction refer to.
func inventory(ctx context.Context, tx *store.Tx, blobs blob.Store) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		for entry, err := range registry.Inventory(ctx, tx, blobs) {
			if err == nil && entry.Missing {
				err = errSwept
			}
			if !yield(blob.Info{Key: entry.Object, Size: entry.Size}, err) || err != nil {
				return
			}
		}
	}
}

// backupAsked is what is asked for over the control socket, and backupLine a line of the answer, of which the last says how it ended.
type backupAsked struct {
	Folder    string `json:"folder"`
	Inventory bool   `json:"inventory,omitempty"`
}

type backupLine struct {
	Progress *Transferred `json:"progress,omitempty"`
	Error    string       `json:"error,omitempty"`
	Backup   *Backup      `json:"backup,omitempty"`
}

// backupByServer has the running server of a data folder do it. The error is errNotRunning if there is none.
func backupByServer(ctx context.Context, data string, o BackupOptions) (Backup, error) {
	body, err := json.Marshal(backupAsked{o.Folder, o.Inventory})
	if err != nil {
		return Backup{}, err
	}
	response, done, err := callControl(ctx, data, http.MethodPost, "/backup", strings.NewReader(string(body)))
	if err != nil {
		return Backup{}, err
	}
	defer done()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		var line backupLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return Backup{}, fmt.Errorf("the server answers what makes no sense: %w", err)
		}
		switch {
		case line.Error != "":
			return Backup{}, errors.New(line.Error)
		case line.Backup != nil:
			return *line.Backup, nil
		case line.Progress != nil:
			o.Tell(*line.Progress)
		}
	}
	return Backup{}, fmt.Errorf("the server broke off the backup: %w", cmp.Or(lines.Err(), io.ErrUnexpectedEOF))
}

// serveBackup is the handler of the control socket. A backup ends when who asked for it goes away.
func (s *Server) serveBackup(mux *http.ServeMux) {
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) {
		var asked backupAsked
		if err := json.NewDecoder(io.LimitReader(r.Body, maxAsked)).Decode(&asked); err != nil {
			reply(w, nil, err)
			return
		}
		lines := json.NewEncoder(w)
		tell := nowAndThen(reportEvery, func(done Transferred) {
			_ = lines.Encode(backupLine{Progress: &done})
			_ = http.NewResponseController(w).Flush()
		})
		b, err := s.state.backup(r.Context(), BackupOptions{Folder: asked.Folder, Inventory: asked.Inventory, Tell: tell})
		if err != nil {
			s.log.Error("make a backup", "folder", asked.Folder, "error", err)
			_ = lines.Encode(backupLine{Error: err.Error()})
			return
		}
		s.log.Info("made a backup", "folder", asked.Folder, "name", b.Name, "rows", b.Rows, "objects", b.Objects)
		_ = lines.Encode(backupLine{Backup: &b})
	})
}
