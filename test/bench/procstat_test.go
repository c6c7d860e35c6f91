package main

import (
	"os"
	"testing"
	"time"
)

func TestProcessCPU(t *testing.T) {
	tests := []struct {
		name, stat   string
		user, system time.Duration
		ok           bool
	}{
		{"plain", "42 (registry) S 1 42 42 0 -1 4194560 900 0 0 0 123 45 7 8 20 0 9 0 100 1 2", 1230 * time.Millisecond, 450 * time.Millisecond, true},
		{"a name with a parenthesis", "42 (a) 1 2 (b) R 1 42 42 0 -1 4194560 900 0 0 0 1 2 7 8 20 0 9", 10 * time.Millisecond, 20 * time.Millisecond, true},
		{"cut off", "42 (registry) S 1 42 42 0 -1 4194560 900 0 0 0 123", 0, 0, false},
		{"user time not a number", "42 (registry) S 1 42 42 0 -1 4194560 900 0 0 0 x 45 7", 0, 0, false},
		{"system time not a number", "42 (registry) S 1 42 42 0 -1 4194560 900 0 0 0 45 x 7", 0, 0, false},
		{"empty", "", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			user, system, err := processCPU(tt.stat)
			if user != tt.user || system != tt.system || (err == nil) != tt.ok {
				t.Errorf("processCPU = %v, %v, %v; want %v, %v, ok %v", user, system, err, tt.user, tt.system, tt.ok)
			}
		})
	}
}

func TestMachineCPU(t *testing.T) {
	tests := []struct {
		name, stat string
		want       time.Duration
		ok         bool
	}{
		{"neither idle, waiting, interrupts nor the system count", "cpu  100 20 30 99999 88888 7777 666 4 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n", 1240 * time.Millisecond, true},
		{"one processor", "cpu0 100 20 30 1 1 1 1 4\n", 0, false},
		{"not a number", "cpu 1 2 3 4 5 6 7 x\n", 0, false},
		{"empty", "", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := machineCPU(tt.stat)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("machineCPU = %v, %v; want %v, ok %v", got, err, tt.want, tt.ok)
			}
		})
	}
}

func TestHighWater(t *testing.T) {
	tests := []struct {
		name, status string
		want         int64
		ok           bool
	}{
		{"found", "Name:\tregistry\nVmPeak:\t  999 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n", 2 * mib, true},
		{"absent", "Name:\tregistry\nVmRSS:\t 1 kB\n", 0, false},
		{"another unit", "VmHWM:\t 2048 MB\n", 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := highWater(tt.status)
			if got != tt.want || (err == nil) != tt.ok {
				t.Errorf("highWater = %d, %v; want %d, ok %v", got, err, tt.want, tt.ok)
			}
		})
	}
}

// TestOwnClocks reads this process's own clocks: time spent computing shows as the server's.
func TestOwnClocks(t *testing.T) {
	before, err := readClocks(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	for n := uint64(1); time.Since(before.at) < 100*time.Millisecond; n++ {
		_ = n * n
	}
	after, err := readClocks(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if s := after.since(before); s.server <= 0 || s.elapsed < 100*time.Millisecond || s.others < 0 {
		t.Errorf("spent = %+v", s)
	}
	if n, err := peakMemory(os.Getpid()); err != nil || n < mib {
		t.Errorf("peakMemory = %d, %v", n, err)
	}
}

func TestShare(t *testing.T) {
	var s share
	if got := s.percent(2); got != 0 {
		t.Errorf("percent of nothing = %v", got)
	}
	s.add(spent{elapsed: time.Second, others: 300 * time.Millisecond})
	s.add(spent{elapsed: time.Second, others: 100 * time.Millisecond})
	if got := s.percent(2); got != 10 {
		t.Errorf("percent = %v, want 10", got)
	}
}

func TestLoadAverage(t *testing.T) {
	if got, err := loadAverage("0.25 0.51 0.31 1/99 1234\n"); got != 0.25 || err != nil {
		t.Errorf("loadAverage = %v, %v", got, err)
	}
	if _, err := loadAverage("none"); err == nil {
		t.Error("a load average that is no number was taken")
	}
}

func TestCPUModel(t *testing.T) {
	if got := cpuModel("processor\t: 0\nmodel name\t: Some CPU: fast\nmodel name\t: other\n"); got != "Some CPU: fast" {
		t.Errorf("cpuModel = %q", got)
	}
	if got := cpuModel("processor: 0\n"); got != "unknown processor" {
		t.Errorf("cpuModel = %q", got)
	}
}

func TestFileSystem(t *testing.T) {
	const mounts = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /tmp rw,nosuid shared:5 - tmpfs tmpfs rw
31 22 0:27 / /data rw master:1 shared:6 - xfs /dev/vdb rw
32 22 0:28 / /data rw - btrfs /dev/vdc rw
not a mount
`
	for path, want := range map[string]string{
		"/": "ext4", "/home/x": "ext4", "/tmp": "tmpfs", "/tmp/a/b": "tmpfs", "/tmpfoo": "ext4", "/data/x": "btrfs",
	} {
		if got := fileSystem(mounts, path); got != want {
			t.Errorf("fileSystem(%s) = %s, want %s", path, got, want)
		}
	}
	if got := fileSystem("", "/"); got != "unknown" {
		t.Errorf("fileSystem without mounts = %s", got)
	}
}

func TestCountCalls(t *testing.T) {
	const trace = `101 fsync(7)                          = 0
102 fdatasync(9 <unfinished ...>
101 syncfs(3)                         = 0
102 <... fdatasync resumed>)          = 0
103 msync(0x7f00, 4096, MS_SYNC)      = 0
104 +++ exited with 0 +++
`
	if got := countCalls(trace); got != 4 {
		t.Errorf("countCalls = %d, want 4", got)
	}
}
