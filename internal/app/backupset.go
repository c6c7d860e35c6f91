package app

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/blob"
	"github.com/coffer-registry/coffer/internal/kms"
	"github.com/coffer-registry/coffer/internal/seal"
	"github.com/coffer-registry/coffer/internal/store"
)

// A folder of backups holds for each backup three files that begin with its name, the time that it is of: its rows, compressed and
// sealed; its inventory, a line for each object; and, written last, a description. The objects lie in one folder for all backups, since
// they never change: each backup adds those that are new.
const (
	backupRows      = ".rows"
	backupInventory = ".objects"
	backupAbout     = ".json"
	backupObjects   = "blobs"
	backupLayout    = "20060102T150405.000000Z"
)

// Backup describes a backup.
type Backup struct {
	Version int `json:"version"`
	// Name is the time of the backup, and that of its files.
	Name         string    `json:"name"`
	At           time.Time `json:"at"`
	Installation string    `json:"installation"`
	Schema       int64     `json:"schema"`
	// Root is the name of the root of trust that wrapped Key, the key of the rows.
	Root string `json:"root"`
	Key  []byte `json:"key"`
	// Rows counts the rows, and Objects and Bytes the objects that they refer to.
	Rows    int64 `json:"rows"`
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Inventory is the SHA-256 of the inventory in hexadecimal digits.
	Inventory string `json:"inventory"`
	// WithObjects says that the objects were copied too.
	WithObjects bool `json:"withObjects"`
}

const backupVersion = 1

// Backups are the descriptions of the backups in a folder, oldest first.
func Backups(folder string) ([]Backup, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*"+backupAbout))
	if err != nil {
		return nil, err
	}
	var all []Backup
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the description of a backup: %w", err)
		}
		var b Backup
		if err := json.Unmarshal(text, &b); err != nil || b.Name+backupAbout != filepath.Base(name) {
			return nil, fmt.Errorf("%s is not the description of a backup", name)
		}
		if b.Version != backupVersion {
			return nil, fmt.Errorf("the backup %s is of version %d, and this program knows %d: use a newer one", b.Name, b.Version, backupVersion)
		}
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Backup) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// FindBackup finds a backup by its name, or the newest if name is empty.
func FindBackup(folder, name string) (Backup, error) {
	all, err := Backups(folder)
	if err != nil {
		return Backup{}, err
	}
	if len(all) == 0 {
		return Backup{}, fmt.Errorf("there is no backup in %s", folder)
	}
	if name == "" {
		return all[len(all)-1], nil
	}
	for _, b := range all {
		if b.Name == name {
			return b, nil
		}
	}
	return Backup{}, fmt.Errorf("there is no backup %s in %s; the newest is %s", name, folder, all[len(all)-1].Name)
}

// backupSet is a folder of backups.
type backupSet string

func (s backupSet) path(b Backup, kind string) string { return filepath.Join(string(s), b.Name+kind) }

// objectID is that which the rows of a backup are sealed as.
func (b Backup) objectID() seal.ObjectID {
	sum := sha256.Sum256([]byte("backup " + b.Installation + " " + b.Name))
	return seal.ObjectID(sum[:len(seal.ObjectID{})])
}

// writeRows writes the rows that a transaction sees.
func (s backupSet) writeRows(ctx context.Context, db *store.DB, tx *store.Tx, b Backup, key seal.Key, o store.CopyOptions) (store.Contents, error) {
	f, err := os.OpenFile(s.path(b, backupRows), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sealed := seal.NewWriter(key, b.objectID(), func(p []byte) error {
		_, err := f.Write(p)
		return err
	})
	defer sealed.Close()
	packed, err := gzip.NewWriterLevel(sealed, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	contents, err := db.Dump(ctx, tx, packed, o)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(packed.Close(), sealed.Finish()); err != nil {
		return nil, fmt.Errorf("seal the rows: %w", err)
	}
	return contents, errors.Join(f.Sync(), f.Close())
}

// rows opens the rows of a backup. Close what it returns.
func (s backupSet) rows(b Backup, key seal.Key) (io.ReadCloser, error) {
	f, err := os.Open(s.path(b, backupRows))
	if err != nil {
		return nil, fmt.Errorf("open the rows of the backup: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	opened, err := seal.Open(f, info.Size(), key, b.objectID())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the rows of the backup: %w", err), f.Close())
	}
	packed, err := gzip.NewReader(bufio.NewReaderSize(opened.NewReadSeeker(), 256<<10))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the rows of the backup: %w", err), opened.Close(), f.Close())
	}
	return rowsReader{packed, opened, f}, nil
}

type rowsReader struct {
	*gzip.Reader
	opened *seal.Reader
	file   *os.File
}

// Close releases the file.
func (r rowsReader) Close() error {
	return errors.Join(r.Reader.Close(), r.opened.Close(), r.file.Close())
}

// inventory writes and reads the inventory.
func (s backupSet) writeInventory(b *Backup, list iter.Seq2[blob.Info, error]) error {
	f, err := os.OpenFile(s.path(*b, backupInventory), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := sha256.New()
	w := bufio.NewWriter(io.MultiWriter(f, sum))
	b.Objects, b.Bytes = 0, 0
	for info, err := range list {
		if err != nil {
			return err
		}
		b.Objects, b.Bytes = b.Objects+1, b.Bytes+info.Size
		fmt.Fprintf(w, "%s %d\n", info.Key, info.Size)
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	b.Inventory = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// objects are those of the inventory, in the order of their keys.
func (s backupSet) objects(b Backup) iter.Seq2[blob.Info, error] {
	return func(yield func(blob.Info, error) bool) {
		f, err := os.Open(s.path(b, backupInventory))
		if err != nil {
			yield(blob.Info{}, fmt.Errorf("open the inventory of the backup: %w", err))
			return
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			key, size, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.ParseInt(size, 10, 64)
			if err != nil || !blob.ValidKey(key) {
				yield(blob.Info{}, fmt.Errorf("the inventory of the backup is damaged: %q", lines.Text()))
				return
			}
			if !yield(blob.Info{Key: key, Size: n}, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(blob.Info{}, err)
		}
	}
}

// checkInventory holds the inventory against its sum.
func (s backupSet) checkInventory(b Backup) error {
	f, err := os.Open(s.path(b, backupInventory))
	if err != nil {
		return fmt.Errorf("open the inventory of the backup: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != b.Inventory {
		return fmt.Errorf("the inventory of the backup %s is damaged", b.Name)
	}
	return nil
}

// describe writes the description, which makes the backup one.
func (s backupSet) describe(b Backup) error {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(s.path(b, backupAbout), string(text)+"\n")
}

// drop removes the files of a backup that came to nothing.
func (s backupSet) drop(b Backup) error {
	var errs []error
	for _, kind := range []string{backupRows, backupInventory, backupAbout} {
		if err := os.Remove(s.path(b, kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// openKey opens the key of a backup with the root of trust of a configuration.
func (b Backup) openKey(ctx context.Context, root kms.Root) (seal.Key, error) {
	if kms.RootKind(b.Root) != kms.RootKind(root.String()) {
		return seal.Key{}, fmt.Errorf("the backup %s is sealed for the root of trust %s: give that by --root-key", b.Name, b.Root)
	}
	return kms.OpenBackupKey(ctx, root, b.Installation, b.Name, b.Key)
}
