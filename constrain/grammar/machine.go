package grammar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/expr"
)

// Machine reads texts by a grammar, for any number of readers. It is safe for concurrent use.
type Machine struct {
	g      *Grammar
	char   func(*expr.Pool) expr.ID
	budget int // bytes

	mu     sync.Mutex
	run    *Run
	memory atomic.Int64
}

// State is a place in a text that a machine reads.
type State struct {
	run *Run
	id  int32
}

// Run is the part of a machine's automaton that has been visited. Its states are numbered; Dead is that of texts that the
// grammar does not allow.
type Run struct {
	Serial uint64 // of no other run

	g         *Grammar
	machine   *Machine
	pool      *expr.Pool
	terminals []expr.ID
	char      expr.ID
	size      int // bytes, about
	base      int // bytes of a run that has read nothing
	renew     int // bytes from which on readers go on in a new run
	err       error

	rows      []row
	kernels   [][]item // of each row
	rowIndex  map[string]int32
	chains    map[place]item
	predicted []int32 // by nonterminal: the last row that predicted it, plus one
	seen      map[item]struct{}
	list      []item
	kernel    []item
	key       []byte

	states     []state
	stateIndex map[string]int32
	class      [256]uint8
	bytes      []uint8 // of each class, one byte; and how many it has
	members    []int
	count      int
	next       []int32 // by state and class
}

type state struct {
	threads   []thread
	accepting bool
}

// Dead is the state of a text that the grammar does not allow.
const Dead int32 = 0

const notYet int32 = -1

var serial atomic.Uint64

// most is how many times its budget one text may take.
const most = 8

// NewMachine returns a machine for g that keeps about budget bytes of what its texts have visited, besides the grammar. char makes the expression of a character for Absorbs.
func NewMachine(g *Grammar, char func(*expr.Pool) expr.ID, budget int) *Machine {
	m := &Machine{g: g, char: char, budget: budget}
	m.memory.Store(int64(g.memory()))
	return m
}

// maxExpressions bounds the expressions of a run.
const maxExpressions = 1 << 18

// maxWork bounds what one reader does between Begin and End, in steps of the pool: less than a tenth of a second.
const maxWork = 1 << 23

// itemSteps is what an item or a terminal that is moved on counts, in steps of the pool. Unambiguous grammars move on few, so
// that they are given a smaller share of the time: some milliseconds.
const itemSteps = 32

func (m *Machine) newRun() *Run {
	r := &Run{
		Serial: serial.Add(1), g: m.g, machine: m, pool: expr.NewPool(maxExpressions + m.g.pool.Len()),
		rowIndex: map[string]int32{}, chains: map[place]item{}, seen: map[item]struct{}{},
		predicted: make([]int32, len(m.g.starts)), stateIndex: map[string]int32{},
	}
	memo := map[expr.ID]expr.ID{}
	for _, e := range m.g.terminals {
		r.terminals = append(r.terminals, r.pool.Import(m.g.pool, e, memo))
	}
	r.char = m.char(r.pool)
	r.class, r.count = r.pool.Classes()
	r.bytes, r.members = make([]uint8, r.count), make([]int, r.count)
	for b, c := range r.class {
		r.bytes[c] = uint8(b)
		r.members[c]++
	}
	r.addState(nil, false) // Dead
	for c := range r.count {
		r.next[c] = Dead
	}
	r.base = r.memory()
	r.renew = r.base + m.budget
	return r
}

// Start returns the state before a text, or before the builder's Lead and a text.
func (m *Machine) Start(lead bool) State {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.run == nil {
		m.run = m.newRun()
	}
	s := State{m.run, m.run.start(lead)}
	m.weigh()
	return s
}

func (r *Run) start(lead bool) int32 {
	first := r.g.first[0]
	if lead {
		first = r.g.first[1]
	}
	var kernel []item
	for _, dot := range r.g.starts[first] {
		kernel = append(kernel, item{dot, -1})
	}
	return r.stateOf(nil, r.rowOf(kernel))
}

// Begin takes the machine for one reader and returns its run and the number of s in it. The reader calls End and may keep
// a new State before that.
func (m *Machine) Begin(s State) (*Run, int32) {
	m.mu.Lock()
	fresh := m.run == nil || m.run.err != nil || m.run.memory() > m.run.renew
	if fresh {
		m.run = m.newRun()
	}
	m.run.pool.Allow(maxWork)
	if s.run != m.run {
		s.id = m.run.take(s)
	}
	if fresh { // so that a text that takes much does not begin anew for each token
		m.run.renew = max(m.run.renew, 2*m.run.memory())
	}
	return m.run, s.id
}

// State returns the state with the number id.
func (r *Run) State(id int32) State { return State{r, id} }

// errAmbiguous is the error of a reader that needs more than maxWork.
var errAmbiguous = fmt.Errorf("the grammar is too ambiguous for the text so far: %w", expr.ErrWork)

// End gives the machine back. It returns an error that wraps ErrTooLarge if a state could not be made since Begin: then some numbers of states
// are Dead that should not be.
func (r *Run) End() error {
	if r.err == nil {
		r.err = r.pool.Err() // of a state that was taken from another run
	}
	err := r.err
	if errors.Is(err, expr.ErrWork) {
		err = errAmbiguous
	}
	r.machine.weigh()
	r.machine.mu.Unlock()
	return err
}

// Memory returns how many bytes the grammar and what is kept of its texts take, about. It waits for no reader.
func (m *Machine) Memory() int { return int(m.memory.Load()) }

func (m *Machine) weigh() { m.memory.Store(int64(m.g.memory() + m.run.memory())) }

func (r *Run) memory() int { return r.size + 40*len(r.chains) + r.pool.Memory() }

// Step returns the state after byte b.
func (r *Run) Step(s int32, b byte) int32 {
	if t := r.next[int(s)*r.count+int(r.class[b])]; t != notYet {
		return t
	}
	return r.fill(s, r.class[b])
}

func (r *Run) fill(s int32, class uint8) int32 {
	r.pool.Spend(itemSteps * len(r.states[s].threads))
	if r.err == nil && r.memory() > r.base+most*r.machine.budget {
		r.err = ErrTooLarge
	}
	if r.err == nil {
		r.err = r.pool.Err()
	}
	if r.err != nil {
		return Dead
	}
	threads := make([]thread, 0, len(r.states[s].threads))
	kernel := r.kernel[:0]
	for _, t := range r.states[s].threads {
		rest := r.pool.Step(t.rest, class)
		if rest == expr.Empty || !r.pool.Matches(rest) {
			continue
		}
		if r.pool.Nullable(rest) {
			kernel = r.scan(kernel, t.row, t.terminal)
		}
		if rest != expr.Epsilon {
			threads = append(threads, thread{t.row, t.terminal, rest})
		}
	}
	r.kernel = kernel
	newest := int32(-1)
	if len(kernel) > 0 {
		newest = r.rowOf(kernel)
	}
	t := Dead
	if newest >= 0 || len(threads) > 0 {
		t = r.stateOf(threads, newest)
	}
	if r.err = r.pool.Err(); r.err != nil {
		return Dead
	}
	r.next[int(s)*r.count+int(class)] = t
	return t
}

// stateOf returns the state in which threads go on and those of row newest begin; newest may be -1 for none.
func (r *Run) stateOf(threads []thread, newest int32) int32 {
	accepting := false
	if newest >= 0 {
		threads = append(threads, r.rows[newest].threads...)
		accepting = r.rows[newest].accepting
	}
	slices.SortFunc(threads, compareThreads)
	return r.addState(slices.Compact(threads), accepting)
}

func (r *Run) addState(threads []thread, accepting bool) int32 {
	k := r.key[:0]
	for _, t := range threads {
		k = binary.LittleEndian.AppendUint32(k, uint32(t.row))
		k = binary.LittleEndian.AppendUint32(k, uint32(t.terminal))
		k = binary.LittleEndian.AppendUint32(k, uint32(t.rest))
	}
	if accepting {
		k = append(k, 1)
	}
	r.key = k
	if id, ok := r.stateIndex[string(k)]; ok {
		return id
	}
	id := int32(len(r.states))
	r.stateIndex[string(k)] = id
	r.states = append(r.states, state{threads, accepting})
	for range r.count {
		r.next = append(r.next, notYet)
	}
	r.size += 24*len(threads) + 4*r.count + 150
	return id
}

// take brings a state of another run here.
func (r *Run) take(s State) int32 {
	from := s.run
	if s.id == Dead {
		return Dead
	}
	memo := map[expr.ID]expr.ID{}
	moved := map[int32]int32{}
	var rowFrom func(int32) int32
	rowFrom = func(id int32) int32 {
		if id < 0 {
			return id
		}
		if to, ok := moved[id]; ok {
			return to
		}
		kernel := slices.Clone(from.kernels[id])
		for i := range kernel {
			kernel[i].origin = rowFrom(kernel[i].origin)
		}
		moved[id] = r.rowOf(kernel)
		return moved[id]
	}
	old := from.states[s.id]
	threads := make([]thread, len(old.threads))
	for i, t := range old.threads {
		threads[i] = thread{rowFrom(t.row), t.terminal, r.pool.Import(from.pool, t.rest, memo)}
	}
	slices.SortFunc(threads, compareThreads)
	return r.addState(threads, old.accepting)
}
