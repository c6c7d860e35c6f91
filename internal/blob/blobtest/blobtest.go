// Package blobtest is the suite that every blob.Store passes: what its callers rely on, tested through the interface
// alone. It also has a store that fails on demand, for tests of what is built on one.
package blobtest
