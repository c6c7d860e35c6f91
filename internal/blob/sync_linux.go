package blob

import (
	"os"
	"syscall"
)

// syncData makes the file's bytes and length durable, without its times, which saves a write of the file system's log.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
