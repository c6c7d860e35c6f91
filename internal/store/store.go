// Package store is the SQL database: transactions, migrations and the errors that callers may tell apart.
//
// Invariants: Update returns nil only after its changes are durable; a function that fails leaves nothing behind; a View
// sees one state of the database from its first statement to its last. Nothing of the engine shows: callers write SQL
// that SQLite and PostgreSQL both take, with $1…$n for values, and tell errors apart only by this package's sentinels.
//
// Concurrent Updates share a commit, and so an fsync. See group.go for how, and for what a failure does to its neighbours.
//
// Not its job: the meaning of any table, retries of a domain's own conflicts, and encryption, which is done before a value
// gets here.
package store

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
	"time"
)

// Options tunes a database. The zero value is right for a server.
type Options struct {
	// Readers is how many Views may run at once; others wait. 0 means twice the processors, at least 4 and at most 8.
	Readers int
	// CacheBytes bounds the memory for pages of all connections together. 0 means 32 MiB.
	CacheBytes int64
	// Application is the name that the sessions of PostgreSQL have; empty is the URL's, or "coffer".
	Application string
	// Schema is the schema that the database is brought to, if it has an older one; 0 is the newest.
	Schema int64
	// Clock is the machine's clock; nil is time.Now.
	Clock func() time.Time
	// BeforeCommit is of tests. It is called before each commit of PostgreSQL with the number of times that the transaction was
	// run before; an error has the transaction run again.
	BeforeCommit func(attempt int) error
}

const (
	defaultCacheBytes = 32 << 20
	// statementCache is how many prepared statements a connection keeps. Each takes a few KiB.
	statementCache = 256
)

func (o Options) readers() int {
	if o.Readers > 0 {
		return o.Readers
	}
	return min(max(2*runtime.GOMAXPROCS(0), 4), 8)
}

// cachePerConnection is what each of the readers gets; the writer gets as much as four of them, since it keeps the pages
// that it changes until the commit.
func (o Options) cachePerConnection() int64 {
	total := o.CacheBytes
	if total <= 0 {
		total = defaultCacheBytes
	}
	return total / int64(o.readers()+writerCacheShares)
}

const writerCacheShares = 4

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine
	subscribers *subscribers
	clock       func() time.Time

	closing  sync.Once
	closeErr error
}

// Open opens the SQLite database of a data folder, makes it if there is none, and brings its schema up to date. The folder is
// made too, but not its parent. The caller holds the folder's lock; see LockDir. Errors are one line for the operator;
// among them ErrCorrupt (the file is no database), ErrNewerSchema, ErrReadOnly, ErrDiskFull and fs.ErrNotExist.
func Open(ctx context.Context, dir string, o Options) (*DB, error) {
	return open(ctx, dir, o, embedded())
}

func open(ctx context.Context, dir string, o Options, migrations fs.FS) (*DB, error) {
	e, err := openSQLite(ctx, dir, o, upTo{migrations, o.Schema})
	if err != nil {
		return nil, fmt.Errorf("open the database in %s: %w", dir, err)
	}
	return newDB(e, o), nil
}

func newDB(e engine, o Options) *DB {
	db := &DB{engine: e, subscribers: &subscribers{}, clock: o.Clock}
	if db.clock == nil {
		db.clock = time.Now
	}
	return db
}

// Close waits for running transactions, ends the database's goroutines and closes the connections. Transactions that begin
// later fail with ErrClosed. Calling it again returns the same.
func (db *DB) Close() error {
	db.closing.Do(func() { db.closeErr = db.engine.close() })
	return db.closeErr
}

// View runs fn in a transaction that only reads. All its statements see the state at its first one, and with it every
// Update that had returned before. fn runs on the caller's goroutine and must not keep tx. ctx bounds the wait for a
// connection; fn, once it runs, is not interrupted. fn runs more than once where the connection to the database was lost. A View
// inside a View can wait for itself forever: don't nest them, except with a context of Within. Errors are fn's own, those of its
// statements, ctx's, ErrUnavailable and ErrClosed.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.view(ctx, ctx.Value(within{}) != nil, fn)
}

// Snapshot is a View that may take as long as it takes, such as to copy everything, and that is not run again when the connection
// is lost.
func (db *DB) Snapshot(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.snapshot(ctx, fn)
}

// Sessions counts the sessions that others have in the database: those of the same role with another name; see Options. With
// SQLite there are none.
func (db *DB) Sessions(ctx context.Context) (int64, error) { return db.engine.sessions(ctx) }

// nestedReaders is how many connections are kept for Views within transactions. These read little, and begin no View.
const nestedReaders = 2

type within struct{}

// Within returns a context for a View that may be made while a View or an Update of the same goroutine is under way, such as to
// look up a key. It waits for none of those, since it has connections of its own; its function must not begin another View.
func Within(ctx context.Context) context.Context { return context.WithValue(ctx, within{}, true) }

// Update runs fn in a transaction and returns nil once its changes are durable. When fn returns an error or panics,
// nothing of it is kept, and Update returns the error or panics with the same value.
//
// Concurrent Updates have the effect that they would have one after the other, each seeing what the earlier ones did; one that
// fails doesn't touch the others. With SQLite they do run one after the other, and are made durable together: when that fails
// (ErrDiskFull, ErrIO), all of them fail. With PostgreSQL they run side by side, and one that another came in the way of runs
// again.
//
// fn may run more than once and must touch nothing but tx and variables that it sets anew each time; it must not use the
// DB, and must not keep tx. When ctx ends before fn runs, fn doesn't run and the error is ctx's; afterwards ctx doesn't
// matter. Errors are fn's own, those of its statements, of the commit, ctx's, ErrUnavailable and ErrClosed. After ErrUnavailable the
// changes may have been kept or not: who asked for them asks again.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.engine.update(ctx, func(tx *Tx) error {
		tx.subscribers = db.subscribers
		return fn(tx)
	})
}

// Fresh returns once this process's subscribers were told of every change that any process had committed when it was called, so
// that what it remembers is no older than that. Who shares a database with others calls it before a request is looked at. Many
// calls at once share one look at the database. Errors are ctx's, ErrUnavailable and ErrClosed.
func (db *DB) Fresh(ctx context.Context) error { return db.engine.fresh(ctx) }

// Now is the time by the clock of the database, which all processes that share it go by; SQLite's is this process's own.
func (db *DB) Now() time.Time { return db.clock().Add(db.engine.offset()) }

// Check has the engine verify the structure of the database and the references between rows, as far as it doesn't see to them
// by itself. It tells fault of each thing that is wrong. The error is one that keeps it from going on.
func (db *DB) Check(ctx context.Context, fault func(string)) error {
	return db.engine.check(ctx, fault)
}

// Scrub removes from the disk what was deleted from the named tables. SQLite copies all changes into the database file, in which
// deleted content is overwritten with zeros, and empties the log of changes; PostgreSQL writes the tables anew. Updates may wait
// meanwhile, and it waits for the Views that have begun.
func (db *DB) Scrub(ctx context.Context, tables ...string) error { return db.engine.scrub(ctx, tables) }

// Prepare has the database say whether it understands a statement, without running it.
func (db *DB) Prepare(ctx context.Context, query string) error {
	return db.engine.understands(ctx, query)
}

// Explain is how the database runs a statement, whatever its arguments, without running it: in JSON with PostgreSQL, and step by step in
// lines with SQLite.
func (db *DB) Explain(ctx context.Context, query string) (string, error) {
	return db.engine.explain(ctx, query)
}

// Ping asks the database for an answer.
func (db *DB) Ping(ctx context.Context) error { return db.engine.ping(ctx) }

// Stats is what a database is busy with.
type Stats struct {
	// Engine is sqlite or postgresql.
	Engine string
	// InUse, Open and Max are connections for transactions.
	InUse, Open, Max int
	// Retries counts the transactions that ran again, and Queries the round trips to the database. They stay 0 with SQLite.
	Retries, Queries int64
	// ClockAhead is how far the database's clock is ahead of this process's.
	ClockAhead time.Duration
}

// Stats tells what the database is busy with.
func (db *DB) Stats() Stats { return db.engine.stats() }
