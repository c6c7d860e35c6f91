package iam

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/coffer-registry/coffer/internal/policy"
	"github.com/coffer-registry/coffer/internal/store"
)

// AccessJob is a report, asked for before it is read, of when an entity last used what it may use.
type AccessJob struct {
	ID string `json:"-"`
	// ARN is that of a user, group, role or managed policy.
	ARN string
	// ByAction is set for a report that tells actions and not only services.
	ByAction bool
	// For is the unique id of the user or role, or the account's id for its root, who alone may read it.
	For    string
	MadeAt time.Time `json:"-"`
}

const (
	// jobLifetime is how long a job can be asked for.
	jobLifetime = 24 * time.Hour
	// maxJobs bounds the jobs of an account, of which the oldest go first: two for everything that an account can have.
	maxJobs = 20_000
	// trackedFor is how long uses are told.
	trackedFor = 400 * 24 * time.Hour
)

// CreateAccessJob begins a report about a user, group, role or managed policy. The error is of code NoSuchEntity or
// InvalidInput.
func (s *Store) CreateAccessJob(tx *store.Tx, account string, j AccessJob) (AccessJob, error) {
	if _, err := s.EntityByARN(tx, account, j.ARN); err != nil {
		return j, err
	}
	j.MadeAt = s.now()
	j.ID = timedUUID(j.MadeAt)
	body, err := json.Marshal(j)
	if err != nil {
		return j, err
	}
	if err := s.dropJobs(tx, account, firstUUID(j.MadeAt.Add(-jobLifetime))); err != nil {
		return j, fmt.Errorf("delete old reports: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO iam_task (account, kind, id, created_at, body) VALUES ($1, $2, $3, $4, $5)`,
		account, taskAccess, j.ID, j.MadeAt.UnixMicro(), string(body))
	return j, err
}

// dropJobs deletes the jobs of an account whose ids are before a text, and the oldest one if there are too many. Ids are in
// the order of time.
func (s *Store) dropJobs(tx *store.Tx, account, before string) error {
	_, err := tx.Exec(`DELETE FROM iam_task WHERE account = $1 AND kind = $2 AND id < $3`, account, taskAccess, before)
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_task WHERE account = $1 AND kind = $2`, account, taskAccess).Scan(&n); err != nil || n < maxJobs {
		return err
	}
	_, err = tx.Exec(`DELETE FROM iam_task WHERE account = $1 AND kind = $2 AND id =
		(SELECT min(id) FROM iam_task WHERE account = $1 AND kind = $2)`, account, taskAccess)
	return err
}

// AccessJob finds a job of an account that somebody asked for, who is the unique id of a user or role, or the account's id
// for its root. The error is of code NoSuchEntity.
func (s *Store) AccessJob(tx *store.Tx, account, id, who string) (AccessJob, error) {
	j := AccessJob{ID: id}
	var made int64
	var body string
	err := tx.QueryRow(`SELECT created_at, body FROM iam_task WHERE account = $1 AND kind = $2 AND id = $3`, account, taskAccess, id).Scan(&made, &body)
	if err == nil {
		err = json.Unmarshal([]byte(body), &j)
	}
	if errors.Is(err, store.ErrNoRows) || err == nil && j.For != who {
		// IAM's sentence is not known.
		return AccessJob{}, Errorf(NoSuchEntity, "The job with id %s cannot be found.", id)
	}
	j.MadeAt = time.UnixMicro(made)
	return j, err
}

// Access is the last use of a service or of one of its actions.
type Access struct {
	Service string
	// Action is empty for the service as a whole.
	Action string
	// By is the ARN of the user or role; empty if the service was never used.
	By     string
	At     time.Time
	Region string
	// Entities is how many users and roles used it.
	Entities int64
}

// ServiceAccess is the last use of a service that an entity may use.
type ServiceAccess struct {
	Access
	// Actions are those of its actions that were used, by name.
	Actions []Access
}

// GrantedServices are the services that policies allow to use in part at least, sorted. known are those that there are for
// policies that allow all.
func GrantedServices(grants []Grant, known []string) []string {
	policies := make([]*policy.Policy, len(grants))
	for i, g := range grants {
		policies[i] = g.Policy
	}
	services, others := policy.Services(policies...)
	if others {
		services = append(services, known...)
	}
	slices.Sort(services)
	services = slices.Compact(services)
	return slices.DeleteFunc(services, func(service string) bool {
		return !slices.ContainsFunc(policies, func(p *policy.Policy) bool { return p.GrantsService(service) }) ||
			slices.ContainsFunc(policies, func(p *policy.Policy) bool { return p.DeniesService(service) })
	})
}

// ServicesAccessed tells when the services that an entity may use were last used in an account, by their names, after one; an
// empty one is the beginning.
func (s *Store) ServicesAccessed(tx *store.Tx, account string, e Entity, byAction bool, known []string, after string, n int) (page []ServiceAccess, more bool, err error) {
	grants, err := s.Grants(tx, e)
	if err != nil {
		return nil, false, err
	}
	services := slices.DeleteFunc(GrantedServices(grants, known), func(service string) bool { return service <= after })
	if more = len(services) > n; more {
		services = services[:n]
	}
	for _, service := range services {
		last, err := s.lastAccess(tx, account, e, service, byAction)
		if err != nil {
			return nil, false, fmt.Errorf("look up who used %s: %w", service, err)
		}
		page = append(page, last)
	}
	return page, more, nil
}

// usersOf are queries for the users and roles that have what an entity of the account $2 grants, as id, by the entity's key
// $1.
var usersOf = map[Kind]string{
	KindUser:  `SELECT id FROM iam_user WHERE id = $1 AND account = $2`,
	KindRole:  `SELECT id FROM iam_role WHERE id = $1 AND account = $2`,
	KindGroup: `SELECT m.member AS id FROM iam_group g JOIN iam_membership m ON m.group_id = g.id WHERE g.id = $1 AND g.account = $2`,
	KindPolicy: `SELECT owner AS id FROM iam_attachment WHERE account = $2 AND policy = $1 AND owner NOT IN (SELECT id FROM iam_group WHERE account = $2)
		UNION SELECT m.member AS id FROM iam_attachment a JOIN iam_membership m ON m.group_id = a.owner WHERE a.account = $2 AND a.policy = $1`,
}

// key is what attachments know a policy by, and everything else any other entity.
func (e Entity) key() string {
	if e.Kind == KindPolicy {
		return e.ARN()
	}
	return e.ID
}

func (s *Store) lastAccess(tx *store.Tx, account string, e Entity, service string, byAction bool) (ServiceAccess, error) {
	out := ServiceAccess{Access: Access{Service: service}}
	actions := `AND action = ''`
	if byAction {
		actions = ""
	}
	rows, err := tx.Query(`SELECT entity, action, at, region, entities FROM (
		SELECT entity, action, at, region, row_number() OVER (PARTITION BY action ORDER BY at DESC, entity) AS place,
			count(*) OVER (PARTITION BY action) AS entities
		FROM iam_access WHERE service = $3 AND at >= $4 `+actions+` AND entity IN (`+usersOf[e.Kind]+`)
		) AS ranked WHERE place = 1 ORDER BY action`, e.key(), account, service, s.now().Add(-trackedFor).UnixMicro())
	if err != nil {
		return out, err
	}
	all, err := store.Collect(rows, func(row store.Scanner) (Access, error) {
		a := Access{Service: service}
		var at int64
		err := row.Scan(&a.By, &a.Action, &at, &a.Region, &a.Entities)
		a.At = time.UnixMicro(at)
		return a, err
	})
	if err != nil {
		return out, err
	}
	var failure error
	name := s.Name(tx, &failure)
	for _, a := range all {
		a.By, _ = name(a.By)
		if a.Action == "" {
			out.Access = a
		} else {
			out.Actions = append(out.Actions, a)
		}
	}
	return out, failure
}

// EntityAccess is a user or role with its last use of a service; the time is zero if it never used it.
type EntityAccess struct {
	Entity
	At time.Time
}

// EntitiesAccessed lists the users and roles of an account that have what an entity grants, by when they last used a
// service, latest first, after one of them; the zero value is the beginning.
func (s *Store) EntitiesAccessed(tx *store.Tx, account string, e Entity, service string, after EntityAccess, n int) (page []EntityAccess, more bool, err error) {
	used := int64(math.MaxInt64)
	if after.ID != "" {
		used = microsOrZero(after.At)
	}
	rows, err := tx.Query(`SELECT id, used FROM (
		SELECT who.id AS id, COALESCE(a.at, 0) AS used FROM (`+usersOf[e.Kind]+`) AS who
		LEFT JOIN iam_access a ON a.entity = who.id AND a.service = $3 AND a.action = '' AND a.at >= $4
		) AS uses WHERE used < $5 OR used = $5 AND id > $6 ORDER BY used DESC, id LIMIT $7`,
		e.key(), account, service, s.now().Add(-trackedFor).UnixMicro(), used, after.ID, n+1)
	if err != nil {
		return nil, false, err
	}
	page, more, err = cut(rows, n, func(row store.Scanner) (EntityAccess, error) {
		var a EntityAccess
		var at int64
		err := row.Scan(&a.ID, &at)
		if at != 0 {
			a.At = time.UnixMicro(at)
		}
		return a, err
	})
	for i := range page {
		st, err := s.entity(tx, page[i].ID)
		if err != nil {
			return nil, false, err
		}
		page[i].Entity = Entity{Kind: st.Kind, ID: st.ID, Account: st.Account, Name: st.Name, Path: st.Path}
	}
	return page, more, err
}

func microsOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// timedUUID makes a UUID of version 7: it begins with the time, in milliseconds, so that ids sort as they were made.
func timedUUID(at time.Time) string {
	var u [16]byte
	rand.Read(u[:])
	binary.BigEndian.PutUint64(u[:8], uint64(at.UnixMilli())<<16|uint64(binary.BigEndian.Uint16(u[6:8])))
	u[6], u[8] = u[6]&0x0f|0x70, u[8]&0x3f|0x80
	return formatUUID(u)
}

// firstUUID sorts before all that timedUUID makes at that time or later.
func firstUUID(at time.Time) string {
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], uint64(at.UnixMilli())<<16)
	return formatUUID(u)
}

func formatUUID(u [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}
