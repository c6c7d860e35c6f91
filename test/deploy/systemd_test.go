package deploy_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coffer-registry/coffer/internal/coffertest"
)

// maxExposure bounds what systemd makes of the unit's confinement, in tenths of its points: 0 is none at all, and 100 everything.
const maxExposure = 15

// coffer is the program, as the image has it.
func coffer(t testing.TB) string {
	t.Helper()
	return filepath.Join(filepath.Dir(image(t)), "build", "coffer")
}

// unit is a copy of the unit that runs a program which is there.
func unit(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top(t), "deploy", "systemd", "coffer.service"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "coffer.service")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/coffer", coffer(t))), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUnit(t *testing.T) {
	t.Parallel()
	p := newProgram(t)
	if out := p.run(t, "systemd-analyze", "verify", "--man=no", unit(t)); strings.Contains(out, "coffer.service") {
		t.Errorf("systemd says\n%s", out)
	}
	p.run(t, "systemd-analyze", "security", "--offline=true", "--threshold="+strconv.Itoa(maxExposure), unit(t))
	p.refuse(t, "", "systemd-analyze", "security", "--offline=true", "--threshold=0", unit(t))
}

// TestEnvironmentOfUnit checks that each setting in the file beside the unit is one.
func TestEnvironmentOfUnit(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(top(t), "deploy", "systemd", "coffer.env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z0-9_]+)=`).FindAllStringSubmatch(string(text), -1) {
		checkSetting(t, m[1])
	}
}

// others are settings that the server takes from its environment and that are no flags.
var others = []string{"COFFER_ROOT_ACCESS_KEY_ID", "COFFER_ROOT_SECRET_ACCESS_KEY", "PGPASSWORD", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
	"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"}

// checkSetting checks that a variable of the environment means something to the server.
func checkSetting(t testing.TB, name string) {
	t.Helper()
	for _, other := range others {
		if name == other {
			return
		}
	}
	help := strings.Join(strings.Fields(newProgram(t).run(t, coffer(t), "serve", "--help")), " ")
	if !regexp.MustCompile(`\$` + name + `\b`).MatchString(help) {
		t.Errorf("%s is no setting of the server", name)
	}
}

// TestNotify starts the program as systemd does for Type=notify.
func TestNotify(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	told := func() string {
		b := make([]byte, 100)
		n, err := conn.Read(b)
		if err != nil {
			t.Error(err)
		}
		return string(b[:n])
	}
	cmd := exec.Command(coffer(t), "serve")
	cmd.Env = []string{"COFFER_DATA=" + filepath.Join(dir, "data"), "COFFER_LISTEN=127.0.0.1:0", "COFFER_ADMIN_LISTEN=", "NOTIFY_SOCKET=" + socket,
		"COFFER_ROOT_ACCESS_KEY_ID=" + coffertest.AccessKeyID, "COFFER_ROOT_SECRET_ACCESS_KEY=" + coffertest.SecretAccessKey}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if got := told(); got != "READY=1" {
		t.Errorf("first it says %q", got)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if got := told(); got != "STOPPING=1" {
		t.Errorf("then it says %q", got)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
