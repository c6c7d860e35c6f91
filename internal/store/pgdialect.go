package store

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

var (
	withoutRowID = regexp.MustCompile(`\) WITHOUT ROWID\b`)
	textColumn   = regexp.MustCompile(`\bTEXT\b`)
	sqlComment   = regexp.MustCompile(`(?m)--.*$`)
)

// dialect turns the text of a migration, which is SQLite's, into PostgreSQL's: tables are not clustered by their keys, and texts
// are compared byte by byte, whatever language the database was created for, so that pages of lists are the same everywhere.
func dialect(text string) string {
	text = sqlComment.ReplaceAllString(text, "")
	text = withoutRowID.ReplaceAllString(text, ")")
	return strings.TrimRight(textColumn.ReplaceAllString(text, `TEXT COLLATE "C"`), "; \n")
}

// PostgreSQL's codes of errors (its manual, appendix A).
const (
	codeUniqueViolation     = "23505"
	codeReferenceViolation  = "23503"
	codeReadOnlyTransaction = "25006"
	codeSerialization       = "40001"
	codeDeadlock            = "40P01"
	codeLockTimeout         = "55P03"
	codeDiskFull            = "53100"
	codeTooManyConnections  = "53300"
	codeCancelled           = "57014"
	codeIOError             = "58030"
	codeChangedPlan         = "0A000"
	codeUntranslatable      = "22021" // a text with a zero byte, or not UTF-8
)

// translateServer gives the sentinel for an error of PostgreSQL or of the way to it, or nil.
func translateServer(err error) error {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case codeUniqueViolation:
			return ErrUnique
		case codeReferenceViolation:
			return ErrReference
		case codeDiskFull:
			return ErrDiskFull
		case codeIOError:
			return ErrIO
		case codeReadOnlyTransaction:
			return ErrReadOnly
		case codeTooManyConnections, codeCancelled, codeLockTimeout:
			return ErrUnavailable
		case codeUntranslatable:
			return ErrText
		}
		switch {
		case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "57P"):
			return ErrUnavailable
		case strings.HasPrefix(e.Code, "XX"):
			return ErrCorrupt
		}
		return nil
	}
	_, refused := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	if refused || network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) {
		return ErrUnavailable
	}
	return nil
}

// contended reports whether PostgreSQL gave up a transaction for the sake of others.
func contended(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == codeSerialization || e.Code == codeDeadlock)
}

// mayRunAgain reports whether a transaction that failed so before its commit may have more luck.
func mayRunAgain(err error, update bool) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == codeChangedPlan || e.Code == codeReadOnlyTransaction && update) {
		return true // as when another server took over from the one that the connection leads to
	}
	return contended(err) || errors.Is(err, ErrUnavailable)
}

// mostTopics is how many topics of one transaction are told apart.
const mostTopics = 1000

// joinTopics makes one text of topics, that of Everything if there are many.
func joinTopics(topics []string) []byte {
	if len(topics) > mostTopics {
		return []byte(Everything)
	}
	return []byte(strings.Join(topics, "\n"))
}

// splitTopics is the inverse of joinTopics.
func splitTopics(text string) []string { return strings.Split(text, "\n") }

var errSnapshot = fmt.Errorf("the server says something else than a snapshot")
