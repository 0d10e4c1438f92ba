package completion

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Options sets what New makes.
type Options struct {
	Schedule schedule.Options
	// Cache has the budgets and the folder of the states. New sets its Size and appends to its Identity what it knows of
	// the model and the engine. Where Host is 0, nothing is kept.
	Cache  statecache.Options
	Every  int // tokens between states kept within long segments; 0 is DefaultEvery
	Buffer int // bytes that a completion holds for a reader who is slow; 0 is DefaultBuffer
}

// What Options means by 0.
const (
	DefaultEvery  = 512
	DefaultBuffer = 1 << 20
)

// ErrSlowReader is the error of a completion whose pieces nobody took. Its text ends there.
var ErrSlowReader = errors.New("completion: the pieces were not taken in time")

// Service completes prompts on one engine. Its methods may be called by any goroutine.
type Service struct {
	options   Options
	engine    *engine.Engine
	tok       tokenizer.Tokenizer
	vocab     *sample.Vocabulary
	cache     *statecache.Cache
	scheduler *schedule.Scheduler
	size      int // elements of a state
}

// New returns a service on an engine, which must outlive it. tok is the engine's model's tokenizer.
func New(e *engine.Engine, tok tokenizer.Tokenizer, o Options) (*Service, error) {
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	if o.Buffer <= 0 {
		o.Buffer = DefaultBuffer
	}
	s := &Service{options: o, engine: e, tok: tok, vocab: sample.NewVocabulary(e.Model.Vocab, tok), size: e.Model.Program.StateLen()}
	o.Cache.Size = s.size
	if o.Cache.Disk > 0 { // only files outlive the engine
		id, err := identity(e)
		if err != nil {
			return nil, err
		}
		o.Cache.Identity += "\n" + id
	}
	var err error
	if s.cache, err = statecache.Open(o.Cache); err != nil {
		return nil, err
	}
	s.scheduler = schedule.New(e, o.Schedule)
	return s, nil
}

// identity names what the numbers of the engine's states depend on, besides ids: the weights as they are stored, the
// initial state and, where results are exact, the device, its driver, its kernels and the build of the program.
func identity(e *engine.Engine) (string, error) {
	id, err := e.Model.ID()
	if err != nil {
		return "", err
	}
	initial, err := e.Model.Program.InitialState()
	if err != nil {
		return "", err
	}
	quantized := sha256.Sum256(fmt.Append(nil, e.Model.Quantized)) // a map is printed in the order of its keys
	id = fmt.Sprintf("%s quantized %x initial %x", id, quantized, digest(initial))
	if e.Exact() {
		id += " exact on " + e.Arithmetic()
	}
	return id, nil
}

// digest returns a hash of a state.
func digest(state []float32) [sha256.Size]byte {
	var b []byte
	for _, v := range state {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return sha256.Sum256(b)
}

// Stats tells how things stand and what was done.
type Stats struct {
	Schedule schedule.Stats
	Cache    statecache.Stats
}

// Stats returns the counts so far.
func (s *Service) Stats() Stats { return Stats{s.scheduler.Stats(), s.cache.Stats()} }

// Err returns the error by which the device was given up, so that nothing goes on, or nil.
func (s *Service) Err() error { return s.scheduler.Err() }

// Close takes no more requests, lets those there are end until ctx is done, ends the others, and waits until the states
// are in their files, so far as ctx allows.
func (s *Service) Close(ctx context.Context) error {
	s.scheduler.Close(ctx)
	return s.cache.Close(ctx)
}
