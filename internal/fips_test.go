package internal_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unapproved are packages of algorithms that FIPS 140-3 does not approve, or that Go's module does not compute; those below
// them are meant too.
var unapproved = []string{"crypto/des", "crypto/dsa", "crypto/md5", "crypto/rc4", "crypto/sha1", "golang.org/x/crypto"}

// unapprovedBy are those that use them nevertheless. A new one needs a reason for which an auditor would let it be.
var unapprovedBy = map[string]struct {
	imports []string
	reason  string
}{
	"iam": {[]string{"crypto/sha1"},
		"codes of virtual MFA devices (RFC 6238), which are refused while FIPS 140-3 is enforced"},
	"keymaterial": {[]string{"crypto/sha1"},
		"OAEP with SHA-1, which clients of KMS may ask for, and which is refused while FIPS 140-3 is enforced"},
	"federation": {[]string{"crypto/sha1"},
		"thumbprints and name qualifiers, by which IAM and STS name certificates and subjects; they prove nothing"},
	"github.com/go-jose/go-jose/v4": {[]string{"crypto/sha1"},
		"thumbprints of certificates in keys; federation takes no encryption, for which it uses it too"},
	"github.com/jackc/pgx/v5/pgconn": {[]string{"crypto/md5"},
		"passwords of PostgreSQL that are stored as MD5, with which signing in fails while FIPS 140-3 is enforced; SCRAM-SHA-256 is its default"},
	"github.com/russellhaering/goxmldsig": {[]string{"crypto/sha1"},
		"federation refuses signatures and digests of SHA-1 before the library sees them"},
	"tlsconfig": {[]string{"golang.org/x/crypto/acme", "golang.org/x/crypto/acme/autocert"},
		"ACME is a protocol, whose algorithms are those of the standard library"},
	"golang.org/x/crypto/acme/autocert": {[]string{"golang.org/x/crypto/acme"}, "see tlsconfig"},
	"blob": {[]string{"crypto/md5"},
		"etags, by which S3 names objects made of parts; they prove nothing, and what is in objects is authenticated by seal"},
	"github.com/aws/smithy-go/transport/http": {[]string{"crypto/md5"},
		"Content-MD5, which none of the operations that blob calls needs"},
	"github.com/aws/aws-sdk-go-v2/service/internal/checksum": {[]string{"crypto/md5", "crypto/sha1"},
		"checksums beside objects, which blob asks for with no operation"},
	"github.com/aws/aws-sdk-go-v2/credentials/ssocreds": {[]string{"crypto/sha1"},
		"names of the files in which AWS's tools keep sign-ins of people; a server has none"},
	"github.com/google/uuid": {[]string{"crypto/md5", "crypto/sha1"},
		"UUIDs of versions 3 and 5, which the database's library, whose dependency it is, does not make"},
}

// unapprovedCalls are functions of packages that are else approved.
var unapprovedCalls = map[string][]string{
	"crypto/cipher": {"NewGCM", "NewGCMWithNonceSize", "NewGCMWithTagSize", "NewCFBEncrypter", "NewCFBDecrypter", "NewOFB"},
	"crypto/ecdh":   {"X25519"},
	"crypto/rsa":    {"EncryptPKCS1v15", "DecryptPKCS1v15", "DecryptPKCS1v15SessionKey"},
}

// unenforcedIn says where enforcement is suspended, and why that is no security function.
var unenforcedIn = map[string]string{
	"federation": "SHA-1 names certificates and subjects there, as IAM and STS do",
	"blob":       "MD5 names objects made of parts, as S3 does",
}

// importing is a package and what it imports.
type importing struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Dir        string
	GoFiles    []string
}

// shipped are the packages of the program that are not Go's own.
func shipped(t *testing.T) (all []importing) {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Standard,Dir,GoFiles", "../cmd/coffer").Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p importing
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if !p.Standard {
			all = append(all, p)
		}
	}
}

// nameOf is a package's path below internal, or that of another's module.
func nameOf(importPath string) string {
	if name, ours := short(importPath); ours {
		return name
	}
	return importPath
}

// TestUnapprovedAlgorithms keeps algorithms out of the program that FIPS 140-3 does not approve.
func TestUnapprovedAlgorithms(t *testing.T) {
	used := map[string][]string{}
	for _, p := range shipped(t) {
		name := nameOf(p.ImportPath)
		for _, imported := range p.Imports {
			if !slices.ContainsFunc(unapproved, func(u string) bool { return imported == u || strings.HasPrefix(imported, u+"/") }) {
				continue
			}
			used[name] = append(used[name], imported)
			if !slices.Contains(unapprovedBy[name].imports, imported) {
				t.Errorf("%s imports %s, which FIPS 140-3 does not approve: docs/fips.md", name, imported)
			}
		}
	}
	for name, by := range unapprovedBy {
		for _, imported := range by.imports {
			if !slices.Contains(used[name], imported) {
				t.Errorf("%s does not import %s any more: take it off the table (%s)", name, imported, by.reason)
			}
		}
	}
}

// TestUnapprovedCalls looks for functions that are refused while FIPS 140-3 is enforced, and for places that suspend this.
func TestUnapprovedCalls(t *testing.T) {
	suspended := map[string]bool{}
	for _, p := range shipped(t) {
		name, ours := short(p.ImportPath)
		if !ours {
			continue
		}
		for _, file := range p.GoFiles {
			for at, call := range callsIn(t, filepath.Join(p.Dir, file)) {
				if slices.Contains(unapprovedCalls[call.pkg], call.name) {
					t.Errorf("%s: %s.%s is refused while FIPS 140-3 is enforced", at, call.pkg, call.name)
				}
				if call.pkg == "crypto/fips140" && call.name == "WithoutEnforcement" {
					if suspended[name] = true; unenforcedIn[name] == "" {
						t.Errorf("%s: %s suspends the enforcement of FIPS 140-3: add it to the table if that is no security function", at, name)
					}
				}
			}
		}
	}
	for name := range unenforcedIn {
		if !suspended[name] {
			t.Errorf("%s does not suspend enforcement any more: take it off the table", name)
		}
	}
}

type call struct{ pkg, name string }

// callsIn are the names of other packages that a file uses, by where.
func callsIn(t *testing.T, path string) map[string]call {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]string{}
	for _, i := range parsed.Imports {
		imported := strings.Trim(i.Path.Value, `"`)
		name := imported[strings.LastIndex(imported, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		packages[name] = imported
	}
	found := map[string]call{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && packages[x.Name] != "" {
				found[files.Position(s.Pos()).String()] = call{packages[x.Name], s.Sel.Name}
			}
		}
		return true
	})
	return found
}
