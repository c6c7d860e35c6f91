package clients_test

import (
	"os"
	"path/filepath"
	"testing"
)

// What boto3 makes of answers: classes of exceptions, pages, times, presigned addresses. testdata/boto.py does the work.
func TestBoto(t *testing.T) {
	t.Parallel()
	s := serve(t, "--region", "us-east-1", "--region", "eu-central-1")
	if cmd, _, problems := s.command(t, "", "python3", "-c", "import boto3"); cmd.Run() != nil {
		t.Fatalf("boto3 is not installed: run test/setup\n%s", problems)
	}
	script, err := filepath.Abs("testdata/boto.py")
	if err != nil {
		t.Fatal(err)
	}
	// Looked at here, it counts when the go command asks whether anything changed since the last run.
	if _, err := os.Stat(script); err != nil {
		t.Fatal(err)
	}
	hello := helloLayout(t)
	got := s.run(t, "env", "IMAGE="+hello.dir, "MANIFEST="+hello.root.Digest, "python3", script)
	// That all parts ran is as much part of the test as that none failed.
	if want := "exceptions\nlayers\npaginators\nreferrers\npresigned\nsessions"; got != want {
		t.Errorf("the script went through\n%s\nexpected\n%s", got, want)
	}
}
