//go:build !unix

package blob

func mapped(size int) []byte { return make([]byte, size) }

func unmap([]byte) {}
