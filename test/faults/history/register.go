package history

import (
	"bytes"
	"cmp"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"
)

// effect is what a request does to one register, or learns of it.
type effect int

const (
	// set makes the value another one.
	set effect = iota
	// create makes the value another one, and only happens while there is none.
	create
	// drop makes the value empty if it is a certain one, and otherwise does nothing.
	drop
	// see finds the value to be a certain one.
	see
	// seeAny finds the value not to be empty.
	seeAny
)

// action is the part of a request that concerns one register.
type action struct {
	effect effect
	value  string
	begin  time.Duration
	// end is when it has happened if it is required, and otherwise after when it happens no more.
	end time.Duration
	// required actions happen; others may not.
	required bool
	op       *Op
}

// never is the end of what may happen at any time.
const never = time.Duration(math.MaxInt64)

// other stands for all values that were written perhaps and were never seen.
const other = "\x00other"

// mostConfigs bounds the states that are kept, and mostPending the actions between their begin and end.
const (
	mostConfigs = 20_000
	mostPending = 64
)

// stuck says which action can't have happened, or that there is too much that may have.
type stuck struct {
	at      action
	tooMuch bool
}

// linearize finds out whether all actions can have happened at an instant each between begin and end, on a register that is
// empty in the beginning. It returns nil if so, and otherwise the first action, by its end, for which that isn't possible.
//
// It goes through begins and ends in their order and keeps all states that are possible then, which differ in the value and
// in which of the actions under way have happened. An action happens as late as it can: when its end, or that of one after
// it, comes. What is only seen happens as early as it can, since that excludes nothing. Actions that may happen at any time
// and do the same are told apart by their number only, so that requests without an answer cost little.
//
// A value that is written once has no other after it until all have seen it. That is used to find out soon that there is
// something wrong; a second search without it finds the action that people would point at, unless it takes too long.
func linearize(actions []action) *stuck {
	actions = simplify(actions)
	problem := explore(actions, ahead(actions))
	if problem == nil || problem.tooMuch {
		return problem
	}
	if plain := explore(actions, map[string]int{}); plain != nil && !plain.tooMuch {
		return plain
	}
	return problem
}

func explore(actions []action, ahead map[string]int) *stuck {
	s := search{ahead: ahead, dropped: dropped(actions), configs: map[config]bool{{}: true}, free: ^uint64(0), pools: map[string]int{}, drops: map[string]bool{}}
	for _, e := range events(actions) {
		a := actions[e.action]
		switch {
		case e.last:
			s.forget(a.value)
		case a.end == never && a.effect == drop:
			s.drops[a.value] = true
		case a.end == never:
			s.supply(a)
		case e.ends:
			if problem := s.finish(e.action); problem != nil {
				return problem
			}
		case s.free == 0:
			return &stuck{a, true}
		default:
			s.begin(e.action, a)
		}
	}
	return nil
}

// known is what all actions together tell of a value.
type known struct {
	writes int
	seen   time.Duration // the first end of those that saw it, or never
	maybe  time.Duration // the first begin of those that perhaps wrote it and were never seen, or never
}

// simplify gives an end to what was perhaps written and was seen. What was perhaps written and never seen gets one name in
// common: it can hide another value for a while, or become empty with whatever dropped it, and do nothing else.
func simplify(actions []action) []action {
	values := map[string]*known{}
	of := func(value string) *known {
		if values[value] == nil {
			values[value] = &known{seen: never, maybe: never}
		}
		return values[value]
	}
	for _, a := range actions {
		switch a.effect {
		case set, create:
			of(a.value).writes++
		case see:
			of(a.value).seen = min(of(a.value).seen, a.end)
		}
	}
	var simple []action
	for _, a := range actions {
		v := of(a.value)
		if a.end == never && (a.effect == set || a.effect == create) && a.value != "" {
			switch {
			case v.seen == never:
				a.value, v.maybe = other, min(v.maybe, a.begin)
			case v.writes == 1 && v.seen >= a.begin:
				a.end, a.required = v.seen, true
			}
		}
		simple = append(simple, a)
	}
	for _, a := range actions {
		if v := of(a.value); a.effect == drop && v.maybe < a.end {
			simple = append(simple, action{set, "", max(a.begin, v.maybe), a.end, false, a.op})
		}
	}
	return simple
}

// event is the begin or the end of an action, or the last end of those that concern its value.
type event struct {
	at         time.Duration
	ends, last bool
	action     int
}

func events(actions []action) []event {
	var all []event
	last := map[string]int{}
	for i, a := range actions {
		all = append(all, event{at: a.begin, action: i})
		if a.end == never {
			continue
		}
		all = append(all, event{at: a.end, ends: true, action: i})
		if other, ok := last[a.value]; a.value != "" && (!ok || actions[other].end <= a.end) {
			last[a.value] = i
		}
	}
	for _, i := range last {
		all = append(all, event{at: actions[i].end, ends: true, last: true, action: i})
	}
	slices.SortStableFunc(all, func(a, b event) int {
		// What ends when another begins may have been at the same time.
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(btoi(a.ends), btoi(b.ends)), cmp.Compare(btoi(a.last), btoi(b.last)))
	})
	return all
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// config is a state that is possible.
type config struct {
	value string
	done  uint64 // which of the pending actions have happened, by their slots
	// used is how many of each pool's actions have happened, a byte each; those at the end that are 0 are left out.
	used string
}

// pool is a number of actions with the same effect, each of which may happen at any time from now on.
type pool struct {
	effect effect
	value  string
	size   int
}

// uncounted is the size from which on a pool is taken to be endless.
const uncounted = math.MaxUint8

// take is a state's use of the pools after one more action of a pool.
func (p pool) take(used string, at int) string {
	if p.size >= uncounted {
		return used
	}
	next := make([]byte, max(len(used), at+1))
	copy(next, used)
	next[at]++
	return string(next)
}

func (p pool) left(used string, at int) bool {
	return p.size >= uncounted || p.size > 0 && (at >= len(used) || int(used[at]) < p.size)
}

type search struct {
	configs map[config]bool
	pending [mostPending]struct {
		index int
		action
	}
	active, free uint64 // slots
	supplies     []pool
	pools        map[string]int  // places in supplies
	dropped      map[string]bool // values that may be dropped at any time, now or later
	drops        map[string]bool // values that may be dropped at any time, once that is so
	// ahead is how often a value that is written once is still to be seen by actions that have not begun. Until then no other
	// follows it.
	ahead map[string]int
}

// supply adds an action that may happen at any time.
func (s *search) supply(a action) {
	key := string(rune('0'+a.effect)) + a.value
	at, ok := s.pools[key]
	if !ok {
		at = len(s.supplies)
		s.pools[key] = at
		s.supplies = append(s.supplies, pool{effect: a.effect, value: a.value})
	}
	s.supplies[at].size++
}

// forget stops to tell apart what happened and what may still happen, where nobody looks for the value any more. If the value
// may still be dropped, what may still write it may in effect empty the register.
func (s *search) forget(value string) {
	for i := range s.supplies {
		p := &s.supplies[i]
		if p.value != value || p.size == 0 {
			continue
		}
		if s.dropped[value] {
			for range p.size {
				s.supply(action{effect: set})
			}
			p = &s.supplies[i]
		}
		p.size = 0
		next := make(map[config]bool, len(s.configs))
		for c := range s.configs {
			if i < len(c.used) {
				used := []byte(c.used)
				used[i] = 0
				c.used = string(bytes.TrimRight(used, "\x00"))
			}
			next[c] = true
		}
		s.configs = next
		s.prune()
	}
}

func (s *search) begin(index int, a action) {
	slot := bits.TrailingZeros64(s.free)
	s.free &^= 1 << slot
	s.active |= 1 << slot
	s.pending[slot].index, s.pending[slot].action = index, a
	if a.effect != see && a.effect != seeAny {
		return
	}
	if a.effect == see && s.ahead[a.value] > 0 {
		s.ahead[a.value]--
	}
	next := make(map[config]bool, len(s.configs))
	for c := range s.configs {
		next[s.looked(c)] = true
	}
	s.configs = next
}

// looked lets all pending actions that only look happen, if they see the value that there is.
func (s *search) looked(c config) config {
	for rest := s.active &^ c.done; rest != 0; rest &= rest - 1 {
		slot := bits.TrailingZeros64(rest)
		p := &s.pending[slot]
		if p.effect == see && p.value == c.value || p.effect == seeAny && c.value != "" {
			c.done |= 1 << slot
		}
	}
	return c
}

// finish keeps the states in which an action has happened, or may have if it isn't required.
func (s *search) finish(index int) *stuck {
	slot := 0
	for s.active&(1<<slot) == 0 || s.pending[slot].index != index {
		slot++
	}
	bit := uint64(1) << slot
	a := s.pending[slot].action
	reached := map[config]bool{}
	for c := range s.configs {
		if !a.required {
			reached[c] = true
		}
		if !s.reach(c, bit, reached) {
			return &stuck{a, true}
		}
	}
	if len(reached) == 0 {
		return &stuck{a, false}
	}
	s.active &^= bit
	s.free |= bit
	s.configs = make(map[config]bool, len(reached))
	for c := range reached {
		c.done &^= bit
		s.configs[c] = true
	}
	s.prune()
	return nil
}

// reach collects the states that follow on one as soon as an action has happened. It reports false if they are too many.
func (s *search) reach(from config, bit uint64, reached map[config]bool) bool {
	if from.done&bit != 0 {
		reached[from] = true
		return true
	}
	visited := map[config]bool{from: true}
	todo := []config{from}
	for len(todo) > 0 {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		s.steps(c, func(next config) {
			if next = s.looked(next); visited[next] {
				return
			}
			visited[next] = true
			if next.done&bit != 0 {
				reached[next] = true
			} else {
				todo = append(todo, next)
			}
		})
		if len(visited) > mostConfigs || len(reached) > mostConfigs {
			return false
		}
	}
	return true
}

// dropped are the values that may be dropped at any time.
func dropped(actions []action) map[string]bool {
	values := map[string]bool{}
	for _, a := range actions {
		if a.effect == drop && a.end == never {
			values[a.value] = true
		}
	}
	return values
}

// ahead counts for each value that is written once how often it is seen.
func ahead(actions []action) map[string]int {
	writes, seen := map[string]int{}, map[string]int{}
	for _, a := range actions {
		switch a.effect {
		case set, create:
			writes[a.value]++
		case see:
			seen[a.value]++
		}
	}
	maps.DeleteFunc(seen, func(value string, _ int) bool { return value == "" || writes[value] != 1 })
	return seen
}

// steps yields the states after each action that may happen next.
func (s *search) steps(c config, yieldAny func(config)) {
	yield := func(next config) {
		if next.value == c.value || s.ahead[c.value] == 0 {
			yieldAny(next)
		}
	}
	for rest := s.active &^ c.done; rest != 0; rest &= rest - 1 {
		slot := bits.TrailingZeros64(rest)
		p := &s.pending[slot]
		if value, ok := after(p.effect, p.value, c.value); ok {
			next := c
			next.value = value
			next.done |= 1 << slot
			yield(next)
		}
	}
	for i, p := range s.supplies {
		if p.value == c.value || !p.left(c.used, i) || !s.wanted(c, p.value) {
			continue
		}
		if value, ok := after(p.effect, p.value, c.value); ok {
			next := c
			next.value, next.used = value, p.take(c.used, i)
			yield(next)
		}
	}
	if s.drops[c.value] {
		next := c
		next.value = ""
		yield(next)
	}
}

// wanted reports whether an action under way depends on a value. What may happen at any time need not happen before that.
func (s *search) wanted(c config, value string) bool {
	for rest := s.active &^ c.done; rest != 0; rest &= rest - 1 {
		p := &s.pending[bits.TrailingZeros64(rest)]
		if (p.effect == see || p.effect == drop) && p.value == value || p.effect == seeAny && value != "" || p.effect == create && value == "" {
			return true
		}
	}
	return value != "" && s.drops[value]
}

// after is the value after an effect, and whether it can come.
func after(e effect, value, now string) (string, bool) {
	switch e {
	case set:
		return value, true
	case create:
		return value, now == ""
	case drop:
		if now == value {
			now = ""
		}
		return now, true
	}
	return now, false
}

// prune removes states that are like another but have fewer actions left that may happen.
func (s *search) prune() {
	type group struct {
		value string
		done  uint64
	}
	groups := map[group][]string{}
	for c := range s.configs {
		g := group{c.value, c.done}
		groups[g] = append(groups[g], c.used)
	}
	for g, list := range groups {
		for i, u := range list {
			if slices.ContainsFunc(list, func(v string) bool { return v != list[i] && fewer(v, u) }) {
				delete(s.configs, config{g.value, g.done, u})
			}
		}
	}
}

// fewer reports whether nothing was used more often in a than in b.
func fewer(a, b string) bool {
	for i := range len(a) {
		if i >= len(b) || a[i] > b[i] {
			return false
		}
	}
	return true
}
