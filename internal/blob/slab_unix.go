//go:build unix

package blob

import "syscall"

// mapped is memory outside of the Go heap, or in it if the system gives none.
func mapped(size int) []byte {
	p, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	return p
}

// unmap gives back what mapped gave. It fails for what is of the Go heap, which the collector takes.
func unmap(p []byte) { _ = syscall.Munmap(p) }
