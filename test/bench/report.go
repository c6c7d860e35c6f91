package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is one line of the report.
type row struct {
	id    string
	title string // a title that begins with a dash belongs to the row above
	unit  string
	more  bool // more is better
	goal  goal
}

// goal is what Coffer is to reach. The zero value asks for nothing.
type goal struct {
	bound float64
	of    string // the bound is a multiple of this row's value
}

func atLeast(v float64) goal { return goal{bound: v} }
func atMost(v float64) goal  { return goal{bound: v} }

// flat asks for at most factor times the value of another row.
func flat(row string, factor float64) goal { return goal{bound: factor, of: row} }

// results are the readings of all rounds, by row and server.
type results struct {
	values map[key][]float64
	jobs   map[key][]result
	failed []failure
}

type key struct{ row, server string }

// failure is a measure that a server didn't get through.
type failure struct {
	measure, server string
	err             error
}

func newResults() *results {
	return &results{values: make(map[key][]float64), jobs: make(map[key][]result)}
}

func (r *results) add(server string, readings []reading) {
	for _, x := range readings {
		k := key{x.row, server}
		r.values[k] = append(r.values[k], x.value)
		if x.job != nil {
			r.jobs[k] = append(r.jobs[k], *x.job)
		}
	}
}

// value is the median of a row's rounds.
func (r *results) value(row, server string) (float64, bool) {
	v := r.values[key{row, server}]
	return median(v), len(v) > 0
}

// report is a finished run.
type report struct {
	title       string
	environment []string // sentences
	rows        []row
	results     *results
	coffer      string // the servers' names
	peer        string
	bare        string
}

// write writes the report as Markdown.
func (r report) write(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", r.title)
	for _, s := range r.environment {
		fmt.Fprintf(&b, "- %s\n", s)
	}
	fmt.Fprintf(&b, "\n| measure | %s | %s | ratio | goal | met | %s |\n|---|--:|--:|--:|--:|---|--:|\n", r.coffer, r.peer, r.bare)
	for _, x := range r.rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r.line(x), " | "))
	}
	r.details(&b)
	for i, f := range r.results.failed {
		if i == 0 {
			b.WriteString("\n## What went wrong\n\n")
		}
		fmt.Fprintf(&b, "- %s, %s: %s\n", f.measure, f.server, strings.ReplaceAll(f.err.Error(), "\n", " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line is the cells of a row.
func (r report) line(x row) []string {
	own, hasOwn := r.results.value(x.id, r.coffer)
	peer, hasPeer := r.results.value(x.id, r.peer)
	cells := []string{x.title, "–", "–", "–", "–", "–", "–"}
	if hasOwn {
		cells[1] = formatValue(own, x.unit)
	}
	if hasPeer {
		cells[2] = formatValue(peer, x.unit)
	}
	if hasOwn && hasPeer && peer != 0 {
		cells[3] = formatNumber(own / peer)
	}
	if ceiling, ok := r.results.value(x.id, r.bare); ok {
		cells[6] = formatValue(ceiling, x.unit)
	}
	bound, text, ok := r.bound(x)
	cells[4] = text
	if hasOwn && ok {
		cells[5] = "no"
		if x.more && own >= bound || !x.more && own <= bound {
			cells[5] = "yes"
		}
	}
	return cells
}

// bound is the number that a row's goal asks for, and its text. It is absent if there is no goal, or the row that it
// refers to has no value.
func (r report) bound(x row) (float64, string, bool) {
	sign := "≤ "
	if x.more {
		sign = "≥ "
	}
	switch {
	case x.goal == goal{}:
		return 0, "–", false
	case x.goal.of == "":
		return x.goal.bound, sign + formatValue(x.goal.bound, x.unit), true
	}
	base, ok := r.results.value(x.goal.of, r.coffer)
	text := "flat"
	if ok {
		text = fmt.Sprintf("flat (%s%s)", sign, formatValue(base*x.goal.bound, x.unit))
	}
	return base * x.goal.bound, text, ok
}

// details writes what the jobs behind the rows cost.
func (r report) details(b *strings.Builder) {
	b.WriteString("\n## Details\n\nMedians over the rounds; the spread is the least and the greatest value of the measure in any round.\n\n" +
		"| measure | server | clients | operations | /s | p50 | p99 | server CPU each | rounds | spread |\n|---|---|--:|--:|--:|--:|--:|--:|--:|---|\n")
	for _, x := range r.rows {
		for _, server := range []string{r.coffer, r.peer, r.bare} {
			values := r.results.values[key{x.id, server}]
			jobs := r.results.jobs[key{x.id, server}]
			if len(values) == 0 || strings.HasPrefix(x.title, "—") {
				continue
			}
			cells := []string{x.title, server, "–", "–", "–", "–", "–", "–"}
			if len(jobs) > 0 {
				cells = append(cells[:2], jobCells(jobs)...)
			}
			cells = append(cells, strconv.Itoa(len(values)),
				formatNumber(slices.Min(values))+" to "+formatValue(slices.Max(values), x.unit))
			fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
		}
	}
}

// jobCells are clients, operations, rate, p50, p99 and CPU of the jobs of all rounds.
func jobCells(jobs []result) []string {
	var ops []int64
	var rate []float64
	var p50, p99, cpu []time.Duration
	for _, j := range jobs {
		ops = append(ops, int64(j.ops))
		rate = append(rate, j.rate())
		p50, p99, cpu = append(p50, j.p50), append(p99, j.p99), append(cpu, j.cpuPerOp())
	}
	done := formatNumber(float64(median(ops)))
	if median(ops) < int64(jobs[0].asked) {
		done += " of " + formatNumber(float64(jobs[0].asked)) + " in time"
	}
	return []string{strconv.Itoa(jobs[0].clients), done, formatNumber(median(rate)),
		formatDuration(median(p50)), formatDuration(median(p99)), formatDuration(median(cpu))}
}

// formatValue is a number with its unit.
func formatValue(v float64, unit string) string {
	if unit == "" {
		return formatNumber(v)
	}
	if strings.HasPrefix(unit, "/") {
		return formatNumber(v) + unit
	}
	return formatNumber(v) + " " + unit
}

// formatNumber gives a number at least three digits if it has them, and commas between thousands.
func formatNumber(v float64) string {
	switch abs := math.Abs(v); {
	case abs >= 100 || v == math.Trunc(v):
		s := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
		sign := ""
		if s[0] == '-' {
			sign, s = "-", s[1:]
		}
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return sign + s
	case abs >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 0.095:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

// formatDuration is a duration in µs, ms or s.
func formatDuration(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return formatValue(us(d), "µs")
	case d < time.Second:
		return formatValue(ms(d), "ms")
	default:
		return formatValue(d.Seconds(), "s")
	}
}
