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
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"sync"
)

// Options tunes a database. The zero value is right for a server.
type Options struct {
	// Readers is how many Views may run at once; others wait. 0 means twice the processors, at least 4 and at most 8.
	Readers int
	// CacheBytes bounds the memory for pages of all connections together. 0 means 32 MiB.
	CacheBytes int64
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
	group       group
	readers     pool
	nested      pool
	ckpt        checkpointer
	subscribers subscribers

	closing  sync.Once
	closeErr error
}

// Open opens the database of a data folder, makes it if there is none, and brings its schema up to date. The folder is
// made too, but not its parent. The caller holds the folder's lock; see LockDir. Errors are one line for the operator;
// among them ErrCorrupt (the file is no database), ErrNewerSchema, ErrReadOnly, ErrDiskFull and fs.ErrNotExist.
func Open(ctx context.Context, dir string, o Options) (*DB, error) {
	return open(ctx, dir, o, embedded())
}

func open(ctx context.Context, dir string, o Options, migrations fs.FS) (*DB, error) {
	db, err := openFolder(ctx, dir, o, migrations)
	if err != nil {
		return nil, fmt.Errorf("open the database in %s: %w", dir, err)
	}
	return db, nil
}

func openFolder(ctx context.Context, dir string, o Options, migrations fs.FS) (*DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path, err := prepareFolder(dir)
	if err != nil {
		return nil, err
	}
	writer, err := connect(path, roleWriter, o.cachePerConnection()*writerCacheShares)
	if err != nil {
		return nil, err
	}
	if err := migrate(writer, migrations); err != nil {
		return nil, errors.Join(err, writer.close())
	}
	copier, err := connect(path, roleCheckpointer, checkpointerCache)
	if err != nil {
		return nil, errors.Join(err, writer.close())
	}
	db := &DB{}
	reader := func() (*conn, error) { return connect(path, roleReader, o.cachePerConnection()) }
	db.readers.init(o.readers(), reader)
	db.nested.init(nestedReaders, reader)
	db.ckpt.init(copier, &db.group)
	db.group.init(writer, &db.subscribers, db.ckpt.committed)
	db.ckpt.start()
	return db, nil
}

// Close waits for running transactions, ends the database's goroutine and closes the file. Transactions that begin later
// fail with ErrClosed. Calling it again returns the same.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.closeErr = errors.Join(db.readers.close(), db.nested.close(), db.ckpt.close(), db.group.close())
	})
	return db.closeErr
}

// View runs fn in a transaction that only reads. All its statements see the state at its first one, and with it every
// Update that had returned before. fn runs on the caller's goroutine and must not keep tx. ctx bounds the wait for a
// connection; fn, once it runs, is not interrupted. A View inside a View can wait for itself forever: don't nest them, except
// with a context of Within. Errors are fn's own, those of its statements, ctx's, and ErrClosed.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	from := &db.readers
	if ctx.Value(within{}) != nil {
		from = &db.nested
	}
	c, err := from.take(ctx)
	if err != nil {
		return err
	}
	defer from.put(c)
	if err := c.run(stmtBegin); err != nil {
		return fmt.Errorf("begin to read: %w", translate(err))
	}
	tx := &Tx{c: c}
	defer func() {
		tx.end()
		if c.run(stmtCommit) != nil { // Nothing was written, so nothing is lost; but the next BEGIN needs an end of this.
			c.run(stmtRollback)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.err
}

// nestedReaders is how many connections are kept for Views within transactions. These read little, and begin no View.
const nestedReaders = 2

type within struct{}

// Within returns a context for a View that may be made while a View or an Update of the same goroutine is under way, such as to
// look up a key. It waits for none of those, since it has connections of its own; its function must not begin another View.
func Within(ctx context.Context) context.Context { return context.WithValue(ctx, within{}, true) }

// Update runs fn in a transaction and returns nil once its changes are durable. When fn returns an error or panics,
// nothing of it is kept, and Update returns the error or panics with the same value.
//
// Concurrent Updates may be made durable together. They run one after the other, each seeing what the earlier ones did;
// one that fails doesn't touch the others. But when making them durable fails (ErrDiskFull, ErrIO), all of them fail.
//
// fn may run more than once and must touch nothing but tx and variables that it sets anew each time; it must not use the
// DB, and must not keep tx. When ctx ends before fn runs, fn doesn't run and the error is ctx's; afterwards ctx doesn't
// matter. Errors are fn's own, those of its statements, of the commit, ctx's, and ErrClosed.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	return db.group.update(ctx, fn)
}
