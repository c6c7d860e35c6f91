// Package fipstest lets tests say what is different while FIPS 140-3 is enforced, which a process can't change once it runs.
package fipstest

import (
	"crypto/fips140"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Enforced reports whether FIPS 140-3 is enforced, for a test of what is refused then. If it isn't, the test runs alone in
// a process of its own in which it is, and fails here if it fails there: the caller returns.
func Enforced(t *testing.T) bool {
	t.Helper()
	if fips140.Enforced() {
		return true
	}
	again := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), "GODEBUG=fips140=only")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("under GODEBUG=fips140=only: %v\n%s", err, out)
	}
	return false
}

// SkipPhones skips a test that signs in by the codes of virtual MFA devices, which can't be made while FIPS 140-3 is enforced.
func SkipPhones(t testing.TB) {
	t.Helper()
	if fips140.Enforced() {
		t.Skip("virtual MFA devices make their codes by HMAC-SHA-1, which FIPS 140-3 does not approve")
	}
}
