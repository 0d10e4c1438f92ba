package statecache_test

import (
	"context"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// teller continues stories with a real engine on the CPU, whose numbers do not depend on how a text is divided.
type teller struct {
	t     testing.TB
	cache *statecache.Cache
	e     *engine.Engine
	tok   tokenizer.Tokenizer
	space *statecache.Space
}

func newTeller(t testing.TB, slots int, o statecache.Options) *teller {
	t.Helper()
	m, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m.Model, &device.Device{}, engine.Options{Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	o.Size = m.Program.StateLen()
	c, err := statecache.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, end := range []func() error{func() error { return c.Close(context.Background()) }, e.Close, m.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	})
	return &teller{t, c, e, tok, c.Space("")}
}

// save copies the state of a sequence to host memory.
func (w *teller) save(s *engine.Seq, state []float32) {
	w.t.Helper()
	t, err := w.e.Save([]*engine.Seq{s}, [][]float32{state})
	w.must(err)
	w.must(t.Wait())
}

// must ends the test with an error.
func (w *teller) must(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// feed feeds tokens to a sequence and returns the logits after the last ones.
func (w *teller) feed(s *engine.Seq, tokens []int, last int) (logits [][]float32) {
	w.t.Helper()
	rows := []engine.Row{{Seq: s, Tokens: tokens}}
	if last > 0 {
		rows[0].Want, rows[0].Last = engine.WantLogits, last
		rows[0].Each = func(_ int, l []float32) error {
			logits = append(logits, slices.Clone(l))
			return nil
		}
	}
	w.must(w.e.Feed(context.Background(), rows))
	w.must(rows[0].Err)
	return logits
}

// tell reads the segments and continues them by so many of the likeliest tokens. It returns how many tokens of the
// prompt were read, all ids, and the logits after the prompt and each token more.
func (w *teller) tell(segments []statecache.Segment, most int) (read int, ids []int, logits [][]float32) {
	w.t.Helper()
	p, err := w.space.Prompt(w.tok, segments)
	w.must(err)
	hit := w.space.Find(p.IDs, len(p.IDs)-1)
	s, err := w.e.NewSeq(hit.State) // nil where nothing was found: the initial state
	w.must(err)
	defer s.Release()
	hit.Release()
	at := hit.Tokens
	for _, m := range statecache.Plan(at, len(p.IDs), 16, hit, p.Ends) {
		w.feed(s, p.IDs[at:m.Tokens], 0)
		at = m.Tokens
		w.keep(s, p.IDs[:at], m.Kind)
	}
	ids, logits = p.IDs, w.feed(s, p.IDs[at:], 1)
	for range most {
		last := logits[len(logits)-1]
		id := 0
		for i := range last {
			if last[i] > last[id] {
				id = i
			}
		}
		ids = append(ids, id)
		logits = append(logits, w.feed(s, []int{id}, 1)...)
	}
	w.keep(s, ids, statecache.Turn)
	w.must(w.cache.Sync(context.Background())) // what is not yet written can still be given up
	return len(p.IDs) - hit.Tokens, ids, logits
}

// keep puts the state of s, which is that after ids, into the cache.
func (w *teller) keep(s *engine.Seq, ids []int, kind statecache.Kind) {
	w.t.Helper()
	meta := statecache.Meta{Kind: kind, Pending: -1}
	if d := w.space.Reserve(ids, meta); d != nil {
		w.save(s, d.State())
		d.Commit()
	}
}

// A story that goes on from a checkpoint, in host memory or from a file, has bit for bit the logits of
// one that is read from its start, and reads only what is new.
func TestEngineGoesOn(t *testing.T) {
	reference.Numbers(t)
	begun := []statecache.Segment{
		{Text: "Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her dog, and", End: statecache.Anchor},
		{Text: " one day, she", End: statecache.Turn}, {Text: " saw a"},
	}
	fresh := newTeller(t, 1, statecache.Options{})
	for name, o := range map[string]statecache.Options{
		"host": {Host: 1 << 26},
		"disk": {Disk: 1 << 26, Host: 1 << 20, Dir: t.TempDir()},
	} {
		t.Run(name, func(t *testing.T) {
			w := newTeller(t, 12, o)
			_, ids, _ := w.tell(begun, 12)
			answer := string(tokenizer.Decode(w.tok, ids[len(ids)-12:]))
			for _, next := range []string{" Then she", " And so they", " Then she"} {
				read, ids, logits := w.tell(append(slices.Clone(begun), statecache.Segment{Text: answer, Answer: true}, statecache.Segment{Text: next}), 6)
				if n, err := tokenizer.Encode(w.tok, next); err != nil || read > len(n) {
					t.Errorf("%q: %d tokens were read, want %d (%v)", next, read, len(n), err)
				}
				s, err := fresh.e.NewSeq(nil)
				fresh.must(err)
				if want := fresh.feed(s, ids, len(logits)); !slices.EqualFunc(logits, want, slices.Equal) {
					t.Errorf("%q: the logits are others than those of a run from the start", next)
				}
				s.Release()
			}
		})
	}
}

// likeliest draws the likeliest token.
func (w *teller) likeliest() *sample.Sampler {
	s, err := sample.New(sample.Params{}, sample.NewVocabulary(w.e.Model.Vocab, w.tok))
	w.must(err)
	return s
}

// Stories that a scheduler tells begin and end with states of the cache, which it reads and fills where they lie: each
// goes on from the last token that the one before was fed, also into a stop string.
func TestSchedulerGoesOn(t *testing.T) {
	reference.Numbers(t)
	w := newTeller(t, 4, statecache.Options{Host: 1 << 26})
	s := schedule.New(w.e, schedule.Options{})
	defer s.Close(context.Background())
	segments := []statecache.Segment{{Text: "Once upon a time, there was a little girl named Lily.", End: statecache.Anchor}, {Text: " She"}}
	fed := 0 // ids of the text that the cache has a state of
	for turn := range 4 {
		p, err := w.space.Prompt(w.tok, segments)
		w.must(err)
		hit := w.space.Find(p.IDs, len(p.IDs)-1)
		if hit.Tokens != fed {
			t.Errorf("turn %d goes on from %d ids, want %d", turn, hit.Tokens, fed)
		}
		out, err := text.NewWriter(w.tok, text.Options{Stop: []string{". "}, Max: 30})
		w.must(err)
		var answer string
		ids := slices.Clone(p.IDs)
		begin := schedule.Beginning{State: hit.State, Tokens: hit.Tokens, Done: hit.Release}
		r := schedule.Request{Begin: func() schedule.Beginning { return begin }, Prompt: p.IDs, Sampler: w.likeliest(), Max: 30}
		r.Token = func(token schedule.Token) bool {
			ids = append(ids, token.ID)
			piece, done := out.Push(token.ID)
			answer += string(piece)
			return !done
		}
		for _, m := range statecache.Plan(hit.Tokens, len(p.IDs), 0, hit, p.Ends) {
			r.Marks = append(r.Marks, m.Tokens)
		}
		r.Keep = func(tokens int) ([]float32, func(error)) {
			d := w.space.Reserve(ids[:tokens], statecache.Meta{Kind: statecache.Turn, Pending: -1})
			if d == nil {
				return nil, nil
			}
			return d.State(), func(err error) {
				if err != nil {
					t.Error(err)
				}
				d.Commit()
			}
		}
		job, err := s.Submit(context.Background(), r)
		w.must(err)
		<-job.Done()
		w.must(job.Err())
		if u := job.Usage(); u.Cached != fed || u.Fed != len(p.IDs)-fed {
			t.Errorf("turn %d: %+v, want %d cached", turn, u, fed)
		}
		fed = len(ids) - 1 // the last is drawn and not fed
		if found := w.space.Find(ids[:fed], fed); !slices.Equal(found.State, w.fresh(ids[:fed])) {
			t.Errorf("turn %d: the state is another than that of a run from the start", turn)
		} else {
			found.Release()
		}
		if out.Finish() == text.FinishedStop {
			segments = append(segments, statecache.Segment{Text: answer, Answer: true}, statecache.Segment{Text: ". Then"})
		} else {
			segments = append(segments, statecache.Segment{Text: answer, Answer: true}, statecache.Segment{Text: " Then"})
		}
	}
}

// fresh returns the state after ids of a run from the start.
func (w *teller) fresh(ids []int) []float32 {
	s, err := w.e.NewSeq(nil)
	w.must(err)
	defer s.Release()
	w.feed(s, ids, 0)
	state := make([]float32, w.e.Model.Program.StateLen())
	w.save(s, state)
	return state
}
