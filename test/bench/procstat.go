package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tick is the unit of processor time in /proc (USER_HZ is 100 on every Linux).
const tick = 10 * time.Millisecond

// clocks are the processor times at one instant.
type clocks struct {
	at         time.Time
	server     time.Duration // user and system time of the server's process
	serverUser time.Duration // its user time alone
	selfUser   time.Duration // the user time of this process
	machine    time.Duration // the user time of all processes on all processors, and what the hypervisor took
}

func readClocks(pid int) (clocks, error) {
	c := clocks{at: time.Now()}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return c, err
	}
	user, system, err := processCPU(string(stat))
	if err != nil {
		return c, err
	}
	c.server, c.serverUser = user+system, user
	if stat, err = os.ReadFile("/proc/stat"); err != nil {
		return c, err
	}
	if c.machine, err = machineCPU(string(stat)); err != nil {
		return c, err
	}
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return c, fmt.Errorf("reading own processor time: %w", err)
	}
	c.selfUser = time.Duration(ru.Utime.Nano())
	return c, nil
}

// spent is the processor time between two instants. Of others only user time counts: the system's own threads write back
// what the server wrote, and work for nobody else.
type spent struct{ elapsed, server, others time.Duration }

func (c clocks) since(b clocks) spent {
	s := spent{elapsed: c.at.Sub(b.at), server: c.server - b.server}
	s.others = max(0, (c.machine-b.machine)-(c.serverUser-b.serverUser)-(c.selfUser-b.selfUser))
	return s
}

// share accumulates how much of the machine processes other than the server and this one took while it was measured.
type share struct {
	mu             sync.Mutex
	others, window time.Duration
}

func (s *share) add(p spent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others += p.others
	s.window += p.elapsed
}

// percent of the given number of processors.
func (s *share) percent(processors int) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.window == 0 {
		return 0
	}
	return 100 * s.others.Seconds() / (s.window.Seconds() * float64(processors))
}

// processCPU is utime and stime of /proc/PID/stat. The command's name, second there, can hold spaces and parentheses.
func processCPU(stat string) (user, system time.Duration, err error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 13 {
		return 0, 0, fmt.Errorf("not a process's stat: %q", stat)
	}
	if user, err = ticks(fields[11]); err != nil { // field 14 as proc(5) counts
		return 0, 0, err
	}
	if system, err = ticks(fields[12]); err != nil {
		return 0, 0, err
	}
	return user, system, nil
}

// machineCPU is user, nice and steal of the first line of /proc/stat.
func machineCPU(stat string) (time.Duration, error) {
	line, _, _ := strings.Cut(stat, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("not the machine's processor times: %q", line)
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 8} {
		d, err := ticks(fields[i])
		if err != nil {
			return 0, err
		}
		sum += d
	}
	return sum, nil
}

// ticks is a number of clock ticks as a duration.
func ticks(field string) (time.Duration, error) {
	n, err := strconv.ParseUint(field, 10, 48)
	if err != nil {
		return 0, fmt.Errorf("processor time: %w", err)
	}
	return time.Duration(n) * tick, nil
}

// peakMemory reads the most memory that a process has had resident, in bytes.
func peakMemory(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return highWater(string(status))
}

// highWater is VmHWM of /proc/PID/status, in bytes.
func highWater(status string) (int64, error) {
	for line := range strings.Lines(status) {
		value, ok := strings.CutPrefix(line, "VmHWM:")
		if !ok {
			continue
		}
		kb, ok := strings.CutSuffix(strings.TrimSpace(value), " kB")
		n, err := strconv.ParseInt(kb, 10, 40)
		if !ok || err != nil {
			return 0, fmt.Errorf("peak memory %q", strings.TrimSpace(line))
		}
		return n * kib, nil
	}
	return 0, fmt.Errorf("a process's status has no VmHWM")
}

// loadAverage is the machine's load over the last minute, as /proc/loadavg has it.
func loadAverage(loadavg string) (float64, error) {
	first, _, _ := strings.Cut(loadavg, " ")
	f, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0, fmt.Errorf("load average: %w", err)
	}
	return f, nil
}

// cpuModel is the first processor's name in /proc/cpuinfo.
func cpuModel(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// fileSystem is the type of the file system that holds the absolute path, by /proc/self/mountinfo. The longest mount
// point wins, and of two equal ones the later, which hides the other.
func fileSystem(mountinfo, path string) string {
	kind, longest := "unknown", -1
	s := bufio.NewScanner(strings.NewReader(mountinfo))
	for s.Scan() {
		before, after, ok := strings.Cut(s.Text(), " - ")
		fields, rest := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(rest) == 0 {
			continue
		}
		point := fields[4]
		inside := point == "/" || path == point || strings.HasPrefix(path, point+string(filepath.Separator))
		if inside && len(point) >= longest {
			kind, longest = rest[0], len(point)
		}
	}
	return kind
}
