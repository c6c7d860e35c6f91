package audit

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
)

func TestStatementsAreListed(t *testing.T) { plantest.Listed(t, plantest.Statements(t, nil)) }

func TestStatementsForPostgreSQL(t *testing.T) {
	plantest.ForPostgreSQL(t, plantest.Statements(t, nil))
}
