package iam

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coffer-registry/coffer/internal/store"
)

// ProviderKind is a kind of identity provider.
type ProviderKind string

// The kinds of identity providers.
const (
	ProviderOIDC ProviderKind = "oidc"
	ProviderSAML ProviderKind = "saml"
)

// words are how each kind is named in ARNs and in IAM's sentences.
var words = map[ProviderKind]struct{ arn, sentence string }{
	ProviderOIDC: {"oidc-provider", "OpenIDConnect Provider"},
	ProviderSAML: {"saml-provider", "SAML Provider"},
}

// Provider is an identity provider outside of Coffer whose word an account takes.
type Provider struct {
	Kind    ProviderKind
	Account string
	// URL is the issuer of an OIDC provider, and the name of a SAML provider.
	URL string
	// Clients are the audiences that an OIDC provider's tokens may have, and Thumbprints the SHA-1 hashes of the
	// certificates that may vouch for its server, in lower-case hexadecimal.
	Clients, Thumbprints []string
	// Metadata is the document that describes a SAML provider, and UUID its unique id.
	Metadata, UUID string
	CreatedAt      time.Time
}

// ARN is the provider's Amazon resource name. That of an OIDC provider has the URL without its scheme.
func (p Provider) ARN() string {
	return "arn:aws:iam::" + p.Account + ":" + words[p.Kind].arn + "/" + strings.TrimPrefix(p.URL, "https://")
}

// Quotas of providers.
const (
	providersPerAccount    = 100
	clientsPerProvider     = 100
	thumbprintsPerProvider = 5
)

// CreateProvider makes a provider of what p says. The error is of code InvalidInput, ValidationError, EntityAlreadyExists
// or LimitExceeded.
func (s *Store) CreateProvider(tx *store.Tx, p Provider) (Provider, error) {
	p.CreatedAt, p.UUID = s.now(), rand.Text()
	if p.Kind == ProviderOIDC {
		if err := checkIssuer(p.URL); err != nil {
			return Provider{}, err
		}
	}
	if err := p.check(); err != nil {
		return Provider{}, err
	}
	if err := s.countProviders(tx, p); err != nil {
		return Provider{}, err
	}
	if _, err := s.Provider(tx, p.Kind, p.ARN()); err == nil {
		return Provider{}, p.exists()
	} else if !IsMissing(err) {
		return Provider{}, err
	}
	if err := s.changed(tx, p.Account); err != nil {
		return Provider{}, err
	}
	_, err := tx.Exec(`INSERT INTO iam_provider (arn, account, kind, url, clients, thumbprints, metadata, uuid, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		p.ARN(), p.Account, string(p.Kind), p.URL, listText(p.Clients), listText(p.Thumbprints), p.Metadata, p.UUID, p.CreatedAt.UnixMicro())
	if err != nil {
		return Provider{}, fmt.Errorf("create identity provider: %w", err)
	}
	return p, nil
}

func (p Provider) exists() error {
	if p.Kind == ProviderOIDC {
		return Errorf(EntityAlreadyExists, "Provider with url %s already exists.", p.URL)
	}
	return Errorf(EntityAlreadyExists, "SAML Provider with name %s already exists.", p.URL)
}

// checkIssuer judges the URL of an OIDC provider. Unlike at AWS it may have a port, which providers on one's own machines
// have.
func checkIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" ||
		strings.ContainsAny(text, "# ") || len(text) > 255 {
		return Errorf(ValidationError, "Invalid Open ID Connect Provider URL")
	}
	return nil
}

// check judges the audiences and the thumbprints.
func (p *Provider) check() error {
	if len(p.Clients) > clientsPerProvider {
		return Errorf(LimitExceeded, "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: %d", clientsPerProvider)
	}
	if len(p.Thumbprints) > thumbprintsPerProvider {
		return Errorf(InvalidInput, "Thumbprint list must contain fewer than 5 entries.")
	}
	for i, t := range p.Thumbprints {
		t = strings.ToLower(t)
		if len(t) != 40 || strings.Trim(t, "0123456789abcdef") != "" {
			return Errorf(InvalidInput, "A thumbprint must be 40 hexadecimal digits.")
		}
		p.Thumbprints[i] = t
	}
	for _, c := range p.Clients {
		if c == "" || len(c) > 255 {
			return Errorf(InvalidInput, "A client ID must have 1 to 255 characters.")
		}
	}
	return nil
}

func (s *Store) countProviders(tx *store.Tx, p Provider) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM iam_provider WHERE account = $1 AND kind = $2`, p.Account, string(p.Kind)).Scan(&n); err != nil {
		return err
	}
	if n >= providersPerAccount {
		name := map[ProviderKind]string{ProviderOIDC: "OpenIdConnectProvidersPerAccount", ProviderSAML: "SAMLProvidersPerAccount"}[p.Kind]
		return Errorf(LimitExceeded, "Cannot exceed quota for %s: %d", name, providersPerAccount)
	}
	return nil
}

const providerColumns = `kind, account, url, clients, thumbprints, metadata, uuid, created_at`

func scanProvider(row store.Scanner) (Provider, error) {
	var p Provider
	var kind, clients, thumbprints string
	var created int64
	if err := row.Scan(&kind, &p.Account, &p.URL, &clients, &thumbprints, &p.Metadata, &p.UUID, &created); err != nil {
		return Provider{}, err
	}
	p.Kind, p.CreatedAt = ProviderKind(kind), time.UnixMicro(created)
	return p, errors.Join(json.Unmarshal([]byte(clients), &p.Clients), json.Unmarshal([]byte(thumbprints), &p.Thumbprints))
}

// listText is a list of texts as one.
func listText(list []string) string {
	if list == nil {
		list = []string{}
	}
	// Texts always encode.
	text, _ := json.Marshal(list)
	return string(text)
}

// Provider finds a provider by ARN. The error is of code NoSuchEntity.
func (s *Store) Provider(tx *store.Tx, kind ProviderKind, arn string) (Provider, error) {
	p, err := scanProvider(tx.QueryRow(`SELECT `+providerColumns+` FROM iam_provider WHERE arn = $1 AND kind = $2`, arn, string(kind)))
	if errors.Is(err, store.ErrNoRows) {
		return Provider{}, NoProvider(kind, arn)
	}
	return p, err
}

// NoProvider says that there is no such provider.
func NoProvider(kind ProviderKind, arn string) error {
	return Errorf(NoSuchEntity, "%s not found for arn %s", words[kind].sentence, arn)
}

// Providers lists the providers of a kind, by ARN. There are no more than a quota's worth.
func (s *Store) Providers(tx *store.Tx, account string, kind ProviderKind) ([]Provider, error) {
	rows, err := tx.Query(`SELECT `+providerColumns+` FROM iam_provider WHERE account = $1 AND kind = $2 ORDER BY arn`, account, string(kind))
	if err != nil {
		return nil, err
	}
	return store.Collect(rows, scanProvider)
}

// UpdateProvider changes the audiences, thumbprints and metadata of a provider to those of p.
func (s *Store) UpdateProvider(tx *store.Tx, p Provider) error {
	if err := p.check(); err != nil {
		return err
	}
	if err := s.changed(tx, p.Account); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE iam_provider SET clients = $1, thumbprints = $2, metadata = $3 WHERE arn = $4`,
		listText(p.Clients), listText(p.Thumbprints), p.Metadata, p.ARN())
	return err
}

// AddClient adds an audience, if it isn't there.
func (p *Provider) AddClient(id string) {
	if !slices.Contains(p.Clients, id) {
		p.Clients = append(p.Clients, id)
	}
}

// RemoveClient takes an audience away, if it is there.
func (p *Provider) RemoveClient(id string) {
	p.Clients = slices.DeleteFunc(p.Clients, func(c string) bool { return c == id })
}

// DeleteProvider deletes a provider and its tags. Sessions that it vouched for go on until they end.
func (s *Store) DeleteProvider(tx *store.Tx, p Provider) error {
	if err := s.changed(tx, p.Account); err != nil {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM iam_tag WHERE owner = $1`, p.ARN()); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM iam_provider WHERE arn = $1`, p.ARN())
	return err
}
