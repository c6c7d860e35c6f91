package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgres is a database of a PostgreSQL server, which other processes use too. Updates are serializable transactions, so that
// what is written for one at a time holds for many at once; what PostgreSQL refuses for that reason, or loses with a connection,
// runs again.
type postgres struct {
	config *pgconn.Config
	conns  pgPool
	nested pgPool
	turns  turns
	// telling is held while what is to be done after a commit is done.
	telling sync.Mutex
	watch   watch
	retries atomic.Int64
	queries atomic.Int64
	// beforeCommit is of tests: it is called with the number of the attempt, and what it returns fails the commit.
	beforeCommit func(attempt int) error
}

const (
	// defaultConnections is how many transactions run at once unless the URL says otherwise by pool_max_conns.
	defaultConnections = 16
	// patience is for how long a transaction is begun again, while the database can't be reached or others come in its way.
	patience = 10 * time.Second
	// statementLimit bounds how long PostgreSQL may say nothing to a statement, and a little less how long it works on it.
	statementLimit = 35 * time.Second
	// connectLimit bounds how long it takes to connect, unless the URL says otherwise by connect_timeout.
	connectLimit = 5 * time.Second
	// oldestVersion of PostgreSQL that is worked with.
	oldestVersion = 15
)

// sessionSettings are those of each connection. Statements are planned once, by indexes in whose order their rows come, so that no plan
// depends on how large a table was when somebody counted it, and so that transactions are held against each other by the rows that they
// saw and not by whole tables. A commit is answered when it is durable, whatever the server is set to.
const sessionSettings = `SET statement_timeout = 30000; SET lock_timeout = 10000; SET idle_in_transaction_session_timeout = 60000;
	SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;
	SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_hashagg = off;
	SET enable_material = off; SET enable_memoize = off; SET enable_incremental_sort = off; SET jit = off; SET client_encoding = 'UTF8';
	SELECT set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on'
		ELSE current_setting('synchronous_commit') END, false)`

// CheckURL finds what is wrong with the URL of a database, in one line for the operator that repeats no password.
func CheckURL(address string) error {
	_, _, err := parseURL(address)
	return err
}

// parseURL reads a URL, and how many transactions may run at once.
func parseURL(address string) (*pgconn.Config, int, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, 0, errors.New("is not of the form postgres://USER@HOST/DATABASE; for SQLite in the data folder, leave it out")
	}
	connections := defaultConnections
	query := u.Query()
	if text := query.Get("pool_max_conns"); text != "" {
		if connections, err = strconv.Atoi(text); err != nil || connections < 2 || connections > 1000 {
			return nil, 0, fmt.Errorf("has pool_max_conns=%q, which is not a number of 2 to 1000", text)
		}
		query.Del("pool_max_conns")
		u.RawQuery = query.Encode()
	}
	config, err := pgconn.ParseConfig(u.String())
	if err != nil {
		return nil, 0, fmt.Errorf("can't be used: %s", oneLine(err))
	}
	if strings.Trim(u.Path, "/") == "" && query.Get("dbname") == "" {
		return nil, 0, errors.New("names no database: postgres://USER@HOST/DATABASE")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectLimit
	}
	if config.ValidateConnect == nil { // A server that can't be written to is one that another took over from.
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "coffer"
	}
	return config, connections, nil
}

// oneLine is the text of an error in one line.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), "; ")
}

// OpenURL opens a PostgreSQL database by its URL (https://www.postgresql.org/docs/current/libpq-connect.html, "Connection URIs",
// and pool_max_conns, how many transactions may run at once) and brings its schema up to date; several processes may do so at
// once. Errors are one line for the operator; among them ErrUnavailable, ErrNewerSchema and ErrReadOnly.
func OpenURL(ctx context.Context, address string, o Options) (*DB, error) {
	return openURL(ctx, address, o, embedded())
}

func openURL(ctx context.Context, address string, o Options, migrations fs.FS) (*DB, error) {
	config, connections, err := parseURL(address)
	if err != nil {
		return nil, fmt.Errorf("the database's URL %w", err)
	}
	if o.Application != "" {
		config.RuntimeParams["application_name"] = o.Application
	}
	e := &postgres{config: config, beforeCommit: o.BeforeCommit}
	db := newDB(e, o)
	if err := e.prepare(ctx, func(c *pgConn) error { return migrate(ctx, c, upTo{migrations, o.Schema}) }); err != nil {
		return nil, e.openError(err)
	}
	e.conns.init(connections, e.connect)
	e.nested.init(nestedReaders, e.connect)
	e.turns.init(connections)
	e.watch.init(e, db.subscribers, db.clock)
	if err := e.fresh(ctx); err != nil {
		return nil, errors.Join(e.openError(err), db.Close())
	}
	return db, nil
}

// openError says which database it was that could not be opened.
func (e *postgres) openError(err error) error {
	where := fmt.Sprintf("%s:%d/%s", e.config.Host, e.config.Port, e.config.Database)
	if errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %s", ErrUnavailable, strings.TrimPrefix(oneLine(err), ErrUnavailable.Error()+": "))
	}
	return fmt.Errorf("open the database %s: %w", where, err)
}

// migrationLock is the number of the advisory lock under which the schema is changed: "coffer" in hexadecimal.
const migrationLock = 0x636f66666572

// prepare looks whether the server can be used, and lets change work on the schema while no other process does.
func (e *postgres) prepare(ctx context.Context, change func(*pgConn) error) error {
	c, err := dial(ctx, e.config, &e.queries, 0)
	if err != nil {
		return translate(err)
	}
	defer c.close()
	if err := c.suitable(); err != nil {
		return translate(err)
	}
	// The tables of the catalogue are small, and a change of the schema may take as long as it takes.
	if err := c.script(fmt.Sprintf(`RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_sort; RESET enable_hashjoin; RESET enable_mergejoin; RESET enable_hashagg; RESET enable_material; RESET enable_memoize; RESET enable_incremental_sort; SET statement_timeout = 0; SET lock_timeout = 0; SELECT pg_advisory_lock(%d)`, migrationLock)); err != nil {
		return fmt.Errorf("wait for whoever changes the schema: %w", translate(err))
	}
	return change(c)
}

// suitable reports what keeps the server from being used.
func (c *pgConn) suitable() error {
	version, err := c.number(`SELECT CAST(current_setting('server_version_num') AS BIGINT)`)
	if err != nil {
		return err
	}
	if version/10000 < oldestVersion {
		return fmt.Errorf("it is PostgreSQL %d, and %d or later is needed", version/10000, oldestVersion)
	}
	for _, setting := range []struct{ name, want, why string }{
		{"server_encoding", "UTF8", "create the database with ENCODING 'UTF8'"},
		{"fsync", "on", "what was acknowledged would be lost when the machine stops"},
		{"full_page_writes", "on", "what was acknowledged would be lost when the machine stops"},
	} {
		have, err := c.text(`SELECT current_setting('` + setting.name + `')`)
		if err != nil {
			return err
		}
		if have != setting.want {
			return fmt.Errorf("its %s is %s: %s", setting.name, have, setting.why)
		}
	}
	return nil
}

func (e *postgres) connect(ctx context.Context) (*pgConn, error) {
	return dial(ctx, e.config, &e.queries, statementLimit)
}

func (e *postgres) close() error {
	return errors.Join(e.watch.close(), e.conns.close(), e.nested.close())
}

// The statements that begin transactions.
const (
	beginUpdate = "BEGIN ISOLATION LEVEL SERIALIZABLE"
	beginView   = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
)

func (e *postgres) update(ctx context.Context, fn func(*Tx) error) error {
	return e.persist(ctx, patience, func(attempt int) (again bool, err error) {
		if err := e.turns.take(ctx, patience); err != nil {
			return false, err
		}
		defer func() { e.turns.give(again && contended(err)) }()
		return e.attempt(ctx, &e.conns, beginUpdate, attempt, fn)
	})
}

func (e *postgres) view(ctx context.Context, nested bool, fn func(*Tx) error) error {
	from := &e.conns
	if nested {
		from = &e.nested
	}
	return e.persist(ctx, patience, func(attempt int) (bool, error) { return e.attempt(ctx, from, beginView, attempt, fn) })
}

// beginSnapshot waits until there is a state of the database that nobody who commits later can show to be out of order.
const beginSnapshot = "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE"

// snapshot has a connection of its own, without the limits of the others.
func (e *postgres) snapshot(ctx context.Context, fn func(*Tx) error) error {
	c, err := dial(ctx, e.config, &e.queries, 0)
	if err == nil {
		defer c.close()
		err = c.script(`SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0`)
	}
	if err != nil {
		return fmt.Errorf("begin to read: %w", translate(err))
	}
	s := &pgTx{c: c, begin: beginSnapshot}
	tx := &Tx{session: s}
	defer func() {
		tx.end()
		s.rollback()
	}()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.err
}

// sessions counts those of the same role, which are other servers', unless they go by this one's name.
func (e *postgres) sessions(ctx context.Context) (n int64, err error) {
	err = e.view(ctx, false, func(tx *Tx) error {
		return tx.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user
			AND backend_type = 'client backend' AND application_name <> current_setting('application_name')`).Scan(&n)
	})
	return n, err
}

func (e *postgres) catalogue() (columns, references string) {
	return `SELECT CAST(t.relname AS TEXT), CAST(c.attname AS TEXT),
			coalesce(CAST(array_position(CAST(k.indkey AS SMALLINT[]), c.attnum) AS BIGINT) + 1, 0)
			FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid LEFT JOIN pg_index AS k ON k.indrelid = t.oid AND k.indisprimary
			WHERE t.relnamespace = CAST(current_schema() AS regnamespace) AND t.relkind = 'r' AND c.attnum > 0 AND NOT c.attisdropped
			ORDER BY t.relname, c.attnum`,
		`SELECT CAST(t.relname AS TEXT), CAST(r.relname AS TEXT) FROM pg_constraint AS f JOIN pg_class AS t ON t.oid = f.conrelid
			JOIN pg_class AS r ON r.oid = f.confrelid WHERE f.contype = 'f' AND t.relnamespace = CAST(current_schema() AS regnamespace)`
}

// Between attempts it waits for a random time of at most pauseMin, and twice as long each time, up to pauseMax.
const (
	pauseMin = 2 * time.Millisecond
	pauseMax = 250 * time.Millisecond
)

// persist makes attempts until one says not to go on, for as long as patience lasts.
func (e *postgres) persist(ctx context.Context, patience time.Duration, attempt func(n int) (again bool, err error)) error {
	begun := time.Now()
	pause := pauseMin
	for n := 0; ; n++ {
		again, err := attempt(n)
		if !again || err == nil {
			return err
		}
		if n > 0 && time.Since(begun) > patience { // What takes long by itself gets a second chance too.
			if !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrUnique) {
				err = fmt.Errorf("%w: others were faster for %v: %w", ErrUnavailable, patience, err)
			}
			return err
		}
		e.retries.Add(1)
		timer := time.NewTimer(rand.N(pause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, pauseMax)
	}
}

// mostOvertaken is how many times a function runs again that says that it was overtaken.
const mostOvertaken = 3

// attempt runs fn in one transaction. again says that it had no effect and may be run again.
func (e *postgres) attempt(ctx context.Context, from *pgPool, begin string, n int, fn func(*Tx) error) (again bool, err error) {
	c, err := from.take(ctx)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return false, err
		}
		return errors.Is(translate(err), ErrUnavailable), translate(err)
	}
	s := &pgTx{c: c, begin: begin, update: begin == beginUpdate}
	tx := &Tx{session: s}
	returned := false
	defer func() {
		if !returned { // fn panicked or ended the goroutine.
			tx.end()
			s.rollback()
			s.giveBack(from)
		}
	}()
	err = fn(tx)
	returned = true
	tx.end()
	if err == nil {
		err = tx.err
	}
	if !s.update {
		from.leave(s)
		return tx.err != nil && mayRunAgain(tx.err, false), err
	}
	defer s.giveBack(from)
	if err == nil && e.beforeCommit != nil {
		if err = e.beforeCommit(n); err != nil {
			s.rollback()
			return true, err
		}
	}
	if err != nil {
		s.rollback()
		// A row that was not there when fn looked for it may have come since: then fn finds it the next time.
		if errors.Is(err, ErrOvertaken) {
			return n < mostOvertaken, err
		}
		return tx.err != nil && (mayRunAgain(tx.err, true) || n == 0 && errors.Is(tx.err, ErrUnique)), err
	}
	if err := s.commit(tx.topics); err != nil {
		s.rollback() // COMMIT itself was passed over if a statement before it failed.
		err = translate(err)
		// Whether a commit whose answer was lost has happened, nobody knows.
		return contended(err) || n == 0 && errors.Is(err, ErrUnique), fmt.Errorf("commit: %w", err)
	}
	e.telling.Lock()
	defer e.telling.Unlock()
	tx.committed()
	return false, nil
}

// ping asks for an answer without patience.
func (e *postgres) ping(ctx context.Context) error {
	c, err := e.conns.take(ctx)
	if err != nil {
		return translate(err)
	}
	err = c.endView()
	if err == nil {
		_, err = c.number(`SELECT count(*) FROM setting`)
	}
	if err != nil {
		e.conns.discard(c)
		return translate(err)
	}
	e.conns.put(c)
	return nil
}

func (e *postgres) stats() Stats {
	return Stats{Engine: "postgresql", InUse: e.conns.inUse(), Open: e.conns.open(), Max: cap(e.conns.places),
		Retries: e.retries.Load(), Queries: e.queries.Load(), ClockAhead: e.offset()}
}

// check looks for what PostgreSQL itself says is out of order; it sees to references by itself.
func (e *postgres) check(ctx context.Context, fault func(string)) error {
	c, err := e.connect(ctx)
	if err != nil {
		return fmt.Errorf("check the database: %w", translate(err))
	}
	defer c.close()
	for _, q := range []struct{ query, what string }{
		{`SELECT CAST(indexrelid::regclass AS TEXT) FROM pg_index WHERE NOT indisvalid AND indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)`, "index %s is not valid"},
		{`SELECT conname FROM pg_constraint WHERE NOT convalidated AND connamespace = current_schema()::regnamespace`, "constraint %s was never validated"},
	} {
		found, err := c.texts(q.query)
		if err != nil {
			return fmt.Errorf("check the database: %w", translate(err))
		}
		for _, name := range found {
			fault("database: " + fmt.Sprintf(q.what, name))
		}
	}
	if err := c.suitable(); err != nil {
		fault("database: " + err.Error())
	}
	return nil
}

// scrub writes tables anew, whose files then hold nothing of what was deleted. The log of the server may, until it is reused, and
// so may backups.
func (e *postgres) scrub(ctx context.Context, tables []string) error {
	c, err := e.connect(ctx)
	if err != nil {
		return translate(err)
	}
	defer c.close()
	for _, table := range tables {
		if err := c.script(`VACUUM (FULL) ` + table); err != nil {
			return fmt.Errorf("write table %s anew: %w", table, translate(err))
		}
	}
	return nil
}

func (e *postgres) understands(ctx context.Context, query string) error {
	c, err := e.connect(ctx)
	if err != nil {
		return translate(err)
	}
	defer c.close()
	_, err = c.prepare(query)
	return translate(err)
}

// explain prepares the statement by SQL, since its plan without arguments can be asked for in no other way.
func (e *postgres) explain(ctx context.Context, query string) (string, error) {
	c, err := e.connect(ctx)
	if err != nil {
		return "", translate(err)
	}
	defer c.close()
	st, err := c.prepare(query)
	if err != nil {
		return "", translate(err)
	}
	arguments := ""
	if n := len(st.ParamOIDs); n > 0 {
		arguments = "(" + strings.Repeat("NULL, ", n-1) + "NULL)"
	}
	lines, err := c.texts("PREPARE explained AS " + query + "; EXPLAIN (FORMAT JSON) EXECUTE explained" + arguments)
	return strings.Join(lines, "\n"), translate(err)
}
