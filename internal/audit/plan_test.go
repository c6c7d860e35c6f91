package audit

import (
	"testing"

	"github.com/coffer-registry/coffer/internal/store/plantest"
)

func statements(t *testing.T) []string {
	return plantest.Statements(t, func(string) []string { return nil })
}

func TestStatementsAreListed(t *testing.T) { plantest.Listed(t, statements(t)) }

func TestStatementsForPostgreSQL(t *testing.T) { plantest.ForPostgreSQL(t, statements(t)) }
