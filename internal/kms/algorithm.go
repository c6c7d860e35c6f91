package kms

import "github.com/coffer-registry/coffer/internal/keymaterial"

// AlgorithmSymmetric is the algorithm of symmetric keys.
const AlgorithmSymmetric = keymaterial.Symmetric

// Algorithms are those that the key can be used with.
func (k Key) Algorithms() []string { return keymaterial.Spec(k.Spec).Algorithms(k.Usage) }
