package app

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
)

func TestStatementsAreListed(t *testing.T) {
	plantest.Listed(t, plantest.Statements(t, nil))
}
