//go:build !linux

package blob

import "os"

// syncData makes the file's bytes and length durable.
func syncData(f *os.File) error { return f.Sync() }
