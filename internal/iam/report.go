package iam

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// ReportLifetime is how long a credential report is good for: before it has passed no other one is made.
const ReportLifetime = 4 * time.Hour

// Report is a credential report: a table of who has which credentials in an account, as CSV.
type Report struct {
	Content string
	MadeAt  time.Time
}

// Kinds of tasks.
const (
	taskReport = "credential-report"
	taskAccess = "service-last-accessed"
)

// Report finds the account's credential report. The error is of code ReportNotPresent or ReportExpired.
func (s *Store) Report(tx *store.Tx, account string) (Report, error) {
	var r Report
	var made int64
	err := tx.QueryRow(`SELECT body, created_at FROM iam_task WHERE account = $1 AND kind = $2 AND id = ''`, account, taskReport).Scan(&r.Content, &made)
	if errors.Is(err, store.ErrNoRows) {
		// AWS answers no more than "Unknown".
		return Report{}, Errorf(ReportNotPresent, "There is no credential report. GenerateCredentialReport makes one.")
	}
	if err != nil {
		return Report{}, err
	}
	r.MadeAt = time.UnixMicro(made)
	if s.now().Sub(r.MadeAt) > ReportLifetime {
		return Report{}, Errorf(ReportExpired, "The credential report has expired. GenerateCredentialReport makes a new one.")
	}
	return r, nil
}

// SaveReport keeps a credential report in place of an earlier one.
func (s *Store) SaveReport(tx *store.Tx, account string, r Report) error {
	_, err := tx.Exec(`INSERT INTO iam_task (account, kind, id, created_at, body) VALUES ($1, $2, '', $3, $4)
		ON CONFLICT (account, kind, id) DO UPDATE SET created_at = excluded.created_at, body = excluded.body`,
		account, taskReport, r.MadeAt.UnixMicro(), r.Content)
	return err
}

// reportColumns are those of a credential report, in AWS's order.
var reportColumns = []string{
	"user", "arn", "user_creation_time", "password_enabled", "password_last_used", "password_last_changed", "password_next_rotation", "mfa_active",
	"access_key_1_active", "access_key_1_last_rotated", "access_key_1_last_used_date", "access_key_1_last_used_region", "access_key_1_last_used_service",
	"access_key_2_active", "access_key_2_last_rotated", "access_key_2_last_used_date", "access_key_2_last_used_region", "access_key_2_last_used_service",
	"cert_1_active", "cert_1_last_rotated", "cert_2_active", "cert_2_last_rotated",
}

// What stands in place of values that there are none of.
const (
	notApplicable = "N/A"
	noInformation = "no_information"
	notSupported  = "not_supported"
)

// reportTime is how a credential report writes times.
func reportTime(t time.Time, none string) string {
	if t.IsZero() {
		return none
	}
	return t.UTC().Format("2006-01-02T15:04:05+00:00")
}

// credentials are what the report tells of one user, or of the root.
type credentials struct {
	id, name, arn                 string
	createdAt                     time.Time
	hasPassword                   bool
	passwordSetAt, passwordUsedAt time.Time
}

// MakeReport makes the credential report of an account as it is now.
func (s *Store) MakeReport(tx *store.Tx, account string) (Report, error) {
	r := Report{MadeAt: s.now()}
	all, err := s.credentialsOf(tx, account)
	if err != nil {
		return r, fmt.Errorf("read who has credentials: %w", err)
	}
	keys, err := s.keysByOwner(tx, account)
	if err != nil {
		return r, fmt.Errorf("read the access keys: %w", err)
	}
	devices, err := s.haveMFA(tx, account)
	if err != nil {
		return r, fmt.Errorf("read the MFA devices: %w", err)
	}
	rules, err := s.passwordPolicy(tx, account)
	if err != nil {
		return r, err
	}
	var rotation time.Duration
	if rules != nil {
		rotation = time.Duration(rules.MaxPasswordAge) * 24 * time.Hour
	}
	var b strings.Builder
	w := csv.NewWriter(&b)
	// Writing to a builder doesn't fail.
	_ = w.Write(reportColumns)
	for i, c := range all {
		row := append([]string{c.name, c.arn, reportTime(c.createdAt, notApplicable)}, c.password(i == 0, rotation)...)
		row = append(row, strconv.FormatBool(devices[c.id]))
		for n := range accessKeysPerUser {
			row = append(row, keyColumns(keys[c.id], n)...)
		}
		_ = w.Write(append(row, "false", notApplicable, "false", notApplicable))
	}
	w.Flush()
	r.Content = b.String()
	return r, nil
}

// credentialsOf lists the root of an account and then its users, by name.
func (s *Store) credentialsOf(tx *store.Tx, account string) ([]credentials, error) {
	var created int64
	if err := tx.QueryRow(`SELECT created_at FROM account WHERE id = $1`, account).Scan(&created); err != nil {
		return nil, err
	}
	rows, err := tx.Query(`SELECT id, name, path, created_at, CASE WHEN password IS NULL THEN 0 ELSE 1 END, password_set_at, password_used_at
		FROM iam_user WHERE account = $1 ORDER BY name_key`, account)
	if err != nil {
		return nil, err
	}
	users, err := store.Collect(rows, func(row store.Scanner) (credentials, error) {
		var c credentials
		var path string
		var created, password int64
		var set, used *int64
		if err := row.Scan(&c.id, &c.name, &path, &created, &password, &set, &used); err != nil {
			return c, err
		}
		c.arn, c.createdAt = KindUser.ARN(account, path, c.name), time.UnixMicro(created)
		c.hasPassword, c.passwordSetAt, c.passwordUsedAt = password == 1, moment(set), moment(used)
		return c, nil
	})
	root := credentials{id: account, name: "<root_account>", arn: RootOf(account), createdAt: time.UnixMicro(created)}
	return append([]credentials{root}, users...), err
}

// password are the columns about a password, which must be another one after a time; 0 for never. The root has none here,
// of which AWS says that it is not supported.
func (c credentials) password(root bool, rotation time.Duration) []string {
	switch {
	case root:
		return []string{notSupported, noInformation, notSupported, notSupported}
	case !c.hasPassword:
		return []string{"false", notApplicable, notApplicable, notApplicable}
	}
	next := notApplicable
	if rotation > 0 {
		next = reportTime(c.passwordSetAt.Add(rotation), notApplicable)
	}
	return []string{"true", reportTime(c.passwordUsedAt, noInformation), reportTime(c.passwordSetAt, notApplicable), next}
}

// keyColumns are the columns about the access key of a number, from 0.
func keyColumns(keys []KeyInfo, n int) []string {
	if n >= len(keys) {
		return []string{"false", notApplicable, notApplicable, notApplicable, notApplicable}
	}
	k := keys[n]
	columns := []string{strconv.FormatBool(k.Active), reportTime(k.CreatedAt, notApplicable), reportTime(k.UsedAt, notApplicable), k.Region, k.Service}
	if k.UsedAt.IsZero() {
		columns[3], columns[4] = notApplicable, notApplicable
	}
	return columns
}

// keysByOwner are the access keys of an account, oldest first, by the unique id of their user, or by the account's id.
func (s *Store) keysByOwner(tx *store.Tx, account string) (map[string][]KeyInfo, error) {
	rows, err := tx.Query(`SELECT principal, id, active, created_at, used_at, used_service, used_region FROM access_key WHERE account = $1
		ORDER BY created_at, id`, account)
	if err != nil {
		return nil, err
	}
	type owned struct {
		owner string
		key   KeyInfo
	}
	all, err := store.Collect(rows, func(row store.Scanner) (o owned, err error) {
		var active, created int64
		var used *int64
		err = row.Scan(&o.owner, &o.key.ID, &active, &created, &used, &o.key.Service, &o.key.Region)
		o.key.Active, o.key.CreatedAt, o.key.UsedAt = active == 1, time.UnixMicro(created), moment(used)
		return o, err
	})
	keys := map[string][]KeyInfo{}
	for _, o := range all {
		if o.owner == RootOf(account) {
			o.owner = account
		}
		keys[o.owner] = append(keys[o.owner], o.key)
	}
	return keys, err
}

// haveMFA says who of an account has an MFA device, by the unique id of the user, or by the account's id.
func (s *Store) haveMFA(tx *store.Tx, account string) (map[string]bool, error) {
	rows, err := tx.Query(`SELECT owner FROM iam_mfa WHERE account = $1 AND owner IS NOT NULL`, account)
	if err != nil {
		return nil, err
	}
	owners, err := store.Collect(rows, store.Value[string])
	have := map[string]bool{}
	for _, owner := range owners {
		have[owner] = true
	}
	return have, err
}
