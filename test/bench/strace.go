package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// errNoTrace means that system calls can't be traced here.
var errNoTrace = errors.New("strace is not installed or may not trace")

// syncTrace is a record of the calls by which a process makes files durable.
type syncTrace struct{ file string }

// traceSyncs prepares a record in dir. errNoTrace means that there can be none.
func traceSyncs(ctx context.Context, dir string) (syncTrace, error) {
	t := syncTrace{file: filepath.Join(dir, "syncs.trace")}
	probe := syncTrace{file: os.DevNull}.command()
	if err := exec.CommandContext(ctx, probe[0], append(probe[1:], "true")...).Run(); err != nil {
		return t, fmt.Errorf("%w (%w)", errNoTrace, err)
	}
	return t, nil
}

// command is what the process is run under. With a filter in the kernel all other calls keep their speed.
func (t syncTrace) command() []string {
	return []string{"strace", "-f", "--seccomp-bpf", "-qq", "-e", "signal=none",
		"-e", "trace=fsync,fdatasync,syncfs,sync,msync", "-o", t.file, "--"}
}

// count is the number of calls so far.
func (t syncTrace) count() (int, error) {
	b, err := os.ReadFile(t.file)
	if err != nil {
		return 0, err
	}
	return countCalls(string(b)), nil
}

// countCalls counts the calls in strace's output. A call that another thread's interrupts has two lines; the second,
// which says that it was resumed, doesn't count.
func countCalls(trace string) int {
	n := 0
	for line := range strings.Lines(trace) {
		if strings.Contains(line, "sync(") || strings.Contains(line, "syncfs(") {
			n++
		}
	}
	return n
}
