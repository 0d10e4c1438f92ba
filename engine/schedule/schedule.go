package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/draft"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule/pace"
)

// Options set what New makes. The zero value is good for a server.
type Options struct {
	Queue int // most requests that wait for their first turn, and most in the background; 0 is DefaultQueue
	// Parked is the most states of sequences in the host's memory, besides a few for newcomers, and the most states of
	// prompts there that requests of SubmitAll wait for. 0 is as many as there are slots, less than 0 none.
	Parked  int
	Latency time.Duration // longest that a token should wait for others' prompts; 0 is DefaultLatency
	Quantum int           // tokens, fed or drawn, after which a sequence may be parked for others; 0 is DefaultQuantum

	// Draft, if not nil, draws ahead where one sequence is alone. It is the scheduler's alone, and has one of the engine's
	// slots. The tokens are the same.
	Draft *draft.Drafter
}

// The values that 0 stands for in Options.
const (
	DefaultQueue   = 64
	DefaultLatency = 250 * time.Millisecond
	DefaultQuantum = 256
)

// Errors to test for with errors.Is.
var (
	ErrQueueFull = errors.New("schedule: the queue is full")
	ErrClosed    = errors.New("schedule: the scheduler is closed")
	ErrCanceled  = errors.New("schedule: the request was canceled")
)

// Scheduler shares one engine among requests. Its methods may be called by any goroutine.
type Scheduler struct {
	options Options
	size    size
	now     func() time.Time // time.Now but in tests
	door    door

	// These belong to the scheduler's goroutine.
	queue    queue
	resident []*Job
	copies   copies
	lot      lot
	run      reopener
	draft    drafter // nil for none
	round    round
}

// size has the sizes of an engine.
type size struct {
	slots int
	seqs  int // of one pass
	chunk int // tokens of one pass
}

// lot has the parked states.
type lot struct {
	parked   int
	extra    int         // how many more than Options.Parked there may be, for newcomers
	idle     [][]float32 // memory for more
	arriving []*Job      // parked in this round, and not in the queue yet
	forked   int         // states of prompts that jobs of the queue begin with
	moving   []*fork     // those on their way
}

// round has the memory of the rounds of draws and prompts, which is reused.
type round struct {
	number    int // see behind
	pace      pace.Pacer
	admission time.Duration // that the round's took
	burst     time.Duration // that the last one took
	rows      []engine.Row
	feeding   []*Job // of rows
	list      []engine.Continuation
	drawing   []*Job // of list
	text      []int  // of the sequence that is alone
	onDrawn   func(i, id int) bool
}

// Stats says how things stand and what was done.
type Stats struct {
	Waiting  int // requests without a turn yet
	Resident int // sequences in slots
	Parked   int // states in the host's memory

	Fed          int // tokens in passes beside the bursts: of prompts, and what constraints forced
	Drawn        int // tokens told, drawn or forced
	Done         int // requests that ended, however
	Parkings     int
	LongestPiece time.Duration // of a prompt's, while others decoded
	LongestBurst time.Duration
	Reopened     int // times that the device was lost and opened anew
}

// New starts a scheduler on an engine, which must outlive it. If others use some of the engine's slots, requests share
// the rest, and wait while there is none.
func New(e *engine.Engine, o Options) *Scheduler {
	s := prepare(engineRunner{e}, e.Stats().Slots, e.Seqs(), e.Chunk(), o)
	if o.Draft != nil {
		s.draft = o.Draft
	}
	go s.loop()
	return s
}

// prepare returns a scheduler without its goroutine.
func prepare(r runner, slots, seqs, chunk int, o Options) *Scheduler {
	if o.Queue <= 0 {
		o.Queue = DefaultQueue
	}
	if o.Parked == 0 {
		o.Parked = slots
	}
	if o.Latency <= 0 {
		o.Latency = DefaultLatency
	}
	if o.Quantum <= 0 {
		o.Quantum = DefaultQuantum
	}
	s := &Scheduler{options: o, size: size{slots, seqs, chunk}, now: time.Now,
		door: door{wake: make(chan struct{}, 1), stopped: make(chan struct{})}}
	s.run = reopener{runner: r, door: &s.door}
	s.round.onDrawn = s.round.drawn
	return s
}

// Submit puts a request into the queue. The error is ErrQueueFull, ErrClosed, or the request's own mistake. When ctx is
// done, the request ends.
func (s *Scheduler) Submit(ctx context.Context, r Request) (*Job, error) {
	jobs, err := s.SubmitAll(ctx, []Request{r})
	if err != nil {
		return nil, err
	}
	return jobs[0], nil
}

// SubmitAll puts requests that have the same prompt, and the same beginning, into the queue: all, or none with the error
// that Submit has. The first of them reads the prompt. The others begin with its state before the last token of the
// prompt, as if they had one of that many tokens from Begin. If it ends before it is there, the next one reads the prompt.
func (s *Scheduler) SubmitAll(ctx context.Context, list []Request) ([]*Job, error) {
	jobs := make([]*Job, len(list))
	var f *fork
	if len(list) > 1 {
		f = &fork{rest: len(list)}
	}
	follow := 0
	for i := range list {
		r := &list[i]
		if err := r.check(); err != nil {
			return nil, err
		}
		if !slices.Equal(r.Prompt, list[0].Prompt) {
			return nil, fmt.Errorf("schedule: request %d: want the prompt of the others, got another", i)
		}
		if r.Background != list[0].Background {
			return nil, fmt.Errorf("schedule: request %d: want background as that of the others, got the opposite", i)
		}
		if r.Follows {
			follow++
		}
		jobs[i] = &Job{Request: *r, s: s, ctx: ctx, done: make(chan struct{}), fork: f}
		jobs[i].holds.Store(1)
	}
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	if len(list) == 0 {
		return nil, nil
	}
	waiting := s.door.waiting.of(list[0].Standing)
	switch more := len(list) - follow; {
	case s.door.broken != nil:
		return nil, s.door.broken
	case s.door.closing:
		return nil, ErrClosed
	case more > 0 && *waiting+more > s.options.Queue:
		return nil, fmt.Errorf("%w: %d requests wait, and %d more are too many", ErrQueueFull, *waiting, more)
	}
	*waiting += len(list)
	s.door.incoming = append(s.door.incoming, jobs...)
	for _, j := range jobs {
		j.unwatch = context.AfterFunc(ctx, s.door.poke)
	}
	s.door.poke()
	return jobs, nil
}

// Stats returns counts of the scheduler's work. It waits for nothing.
func (s *Scheduler) Stats() Stats {
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	st := s.door.stats
	st.Waiting = s.door.waiting.front + s.door.waiting.background
	return st
}

// Err returns the error by which the device was given up, so that nothing goes on, or nil. It waits for nothing.
func (s *Scheduler) Err() error { return s.door.failure() }

// Close takes no more requests. It lets the present ones go on until ctx is done, then ends them with ErrClosed. It
// returns when the engine is no longer used.
func (s *Scheduler) Close(ctx context.Context) {
	s.door.mu.Lock()
	s.door.closing = true
	s.door.mu.Unlock()
	s.door.poke()
	select {
	case <-s.door.stopped:
		return
	case <-ctx.Done():
	}
	s.door.mu.Lock()
	s.door.aborting = true
	s.door.mu.Unlock()
	s.door.poke()
	<-s.door.stopped
}
