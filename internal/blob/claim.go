package blob

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrForeign means that a store holds the objects of another installation.
var ErrForeign = errors.New("the object store belongs to another installation")

// claimName is the object that says whose a bucket is, and claimFile the file that says whose a folder is.
const (
	claimName = "coffer-installation"
	claimFile = "installation"
)

var installationID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// Claim makes the store that of an installation, or finds that it is. The error is ErrForeign if it is another's, or if it
// holds objects and doesn't say whose: what one installation doesn't know, it would sweep away.
func (s *S3) Claim(ctx context.Context, id string) error {
	if !installationID.MatchString(id) {
		return fmt.Errorf("%q is not the id of an installation", id)
	}
	if err := s.claim(ctx, id); err != nil {
		return fmt.Errorf("claim %s: %w", s.place, err)
	}
	return nil
}

func (s *S3) claim(ctx context.Context, id string) error {
	owner, err := s.owner(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		for info, err := range s.List(ctx, "") {
			if err != nil {
				return err
			}
			return fmt.Errorf("%w: it holds objects such as %s and doesn't say whose they are: use another bucket or prefix", ErrForeign, info.Key)
		}
		if err = s.put(ctx, claimName, []byte(id), "", s.conditionalPut); err == nil {
			return nil
		}
		if errors.Is(err, fs.ErrExist) { // another replica was faster, or an earlier attempt got no answer
			owner, err = s.owner(ctx)
		}
	}
	if err != nil {
		return err
	}
	return compareOwner(owner, id)
}

func compareOwner(owner, id string) error {
	if owner != id {
		return fmt.Errorf("%w: its id is %q, and that of this one %q: use another bucket or prefix, or the database that belongs to it", ErrForeign, owner, id)
	}
	return nil
}

// owner reads whose the store is. The error is fs.ErrNotExist if nobody claimed it.
func (s *S3) owner(ctx context.Context) (string, error) {
	found, err := s.find(ctx, claimName)
	if err != nil {
		return "", err
	}
	return string(found.head), nil
}

// Claim makes the folder that of an installation, or finds that it is. The error is ErrForeign if it is another's. A
// folder that doesn't say whose it is is taken over with its objects: it lies beside their database.
func (f *Folder) Claim(_ context.Context, id string) error {
	if !installationID.MatchString(id) {
		return fmt.Errorf("%q is not the id of an installation", id)
	}
	path := filepath.Join(f.root, claimFile)
	owner, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = f.writeClaim(path, id)
		owner = []byte(id)
	}
	if err == nil {
		err = compareOwner(strings.TrimSpace(string(owner)), id)
	}
	if err != nil {
		return fmt.Errorf("claim the objects in %s: %w", f.root, spaceError(err))
	}
	return nil
}

// writeClaim writes the file, durable before it has its name.
func (f *Folder) writeClaim(path, id string) error {
	file, err := os.CreateTemp(f.root, claimFile+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	_, err = file.WriteString(id + "\n")
	if err == nil {
		err = syncData(file)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return f.syncFolder(f.root)
}

// Ping looks whether the folder is there.
func (f *Folder) Ping(context.Context) error {
	info, err := os.Stat(f.root)
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a folder")
	}
	if err != nil {
		return fmt.Errorf("ping the objects in %s: %w", f.root, err)
	}
	return nil
}
