package store

import (
	"database/sql"
	"errors"
	"fmt"
)

// Errors of this package.
var (
	// ErrNoRows means that a query for one row found none.
	ErrNoRows = sql.ErrNoRows
	// ErrClosed means that the database was closed.
	ErrClosed = errors.New("the database is closed")
	// ErrUnique means that a row with this primary key or unique value exists already.
	ErrUnique = errors.New("a row with this key exists already")
	// ErrReference means that a row refers to one that doesn't exist, or that a row that is referred to was to go.
	ErrReference = errors.New("a row refers to one that does not exist")
	// ErrDiskFull means that there is no space left. Nothing of the transaction was kept; later ones succeed once there is
	// space again.
	ErrDiskFull = errors.New("no space left for the database")
	// ErrIO means that the disk failed. Nothing of the transaction is visible.
	ErrIO = errors.New("the disk of the database failed")
	// ErrReadOnly means that the database can't be written to: its file or folder is read-only, or the transaction is a View.
	ErrReadOnly = errors.New("the database can't be written to")
	// ErrCorrupt means that the file is damaged or isn't a database.
	ErrCorrupt = errors.New("the file is damaged or not a database")
	// ErrLocked means that another process holds the data folder or the database.
	ErrLocked = errors.New("in use by another process")
	// ErrUnavailable means that the database can't be reached or has no room for more at the moment, after some time of trying.
	// Who asked asks again.
	ErrUnavailable = errors.New("the database can't be reached")
	// ErrOvertaken is for the function of an Update that finds in the database what was true before a change that this process knows
	// of: with PostgreSQL, which reads as of the transaction's beginning, it runs again and may find the change.
	ErrOvertaken = errors.New("try again")
	// ErrText means that a text can't be stored: it has a zero byte, or isn't UTF-8.
	ErrText = errors.New("a text with a zero byte, or not of UTF-8, can't be stored")
	// ErrNewerSchema means that a newer version of the program made or changed this database.
	ErrNewerSchema = errors.New("the database was written by a newer version of this program")
)

// codedError is what the driver's errors have in common: SQLite's extended result code.
type codedError interface {
	error
	Code() int
}

// SQLite's result codes (https://www.sqlite.org/rescode.html), of which the low byte is the primary one.
const (
	codeBusy       = 5
	codeNoMem      = 7
	codeReadOnly   = 8
	codeInterrupt  = 9
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeConstraint = 19
	codeNotADB     = 26

	codeForeignKey = codeConstraint | 3<<8
	codePrimaryKey = codeConstraint | 6<<8
	codeUnique     = codeConstraint | 8<<8
	codeRowID      = codeConstraint | 10<<8
)

// translate turns the driver's error into one that wraps a sentinel where there is one for it.
func translate(err error) error {
	if err == nil {
		return nil
	}
	sentinel := translateServer(err)
	if coded, ok := errors.AsType[codedError](err); ok {
		sentinel = sentinelOf(coded.Code())
	}
	if sentinel == nil || errors.Is(err, sentinel) {
		return err
	}
	return fmt.Errorf("%w: %w", sentinel, err)
}

func sentinelOf(code int) error {
	switch code {
	case codeForeignKey:
		return ErrReference
	case codePrimaryKey, codeUnique, codeRowID:
		return ErrUnique
	}
	switch code & 0xff {
	case codeFull:
		return ErrDiskFull
	case codeIO:
		return ErrIO
	case codeReadOnly:
		return ErrReadOnly
	case codeCorrupt, codeNotADB:
		return ErrCorrupt
	case codeBusy:
		return ErrLocked
	}
	return nil
}

// endsTransaction reports whether SQLite may have rolled the whole transaction back with a statement that failed so
// (https://www.sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction").
func endsTransaction(err error) bool {
	coded, ok := errors.AsType[codedError](err)
	if !ok {
		return false
	}
	switch coded.Code() & 0xff {
	case codeFull, codeIO, codeNoMem, codeBusy, codeInterrupt:
		return true
	}
	return false
}
