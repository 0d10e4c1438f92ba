package schedule

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
)

// eachEngine runs a test on the tiny model, on the CPU and on the Vulkan device.
func eachEngine(t *testing.T, o engine.Options, test func(t *testing.T, e *engine.Engine)) {
	for _, spec := range []string{"cpu", "gpu"} {
		t.Run(spec, func(t *testing.T) { onEngine(t, spec, o, test) })
	}
}

// onEngine runs a test on the tiny model and one device.
func onEngine(t *testing.T, spec string, o engine.Options, test func(t *testing.T, e *engine.Engine)) {
	if spec == "gpu" {
		gputest.Instance(t)
	}
	d, err := device.Open(spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(golden.Tiny(t), d, o)
	if err != nil {
		t.Fatal(err)
	}
	test(t, e)
	if err := errors.Join(e.Close(), d.Close()); err != nil {
		t.Error(err)
	}
}

func tinySampler(t *testing.T, e *engine.Engine, seed int) *sample.Sampler {
	t.Helper()
	p := sample.Params{Temperature: 1, TopP: 0.9, Presence: 0.4, Frequency: 0.1, PenaltyDecay: 0.9, Seed: uint64(seed)}
	if seed%3 == 0 {
		p = sample.Params{}
	}
	s, err := sample.New(p, sample.NewVocabulary(e.Model.Vocab, nil))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// into keeps the state that has seen the most, of n elements, in to. Copies may end in another order than they began.
func into(to *[]float32, n int) func(int) ([]float32, func(error)) {
	var mu sync.Mutex
	most := 0
	return func(tokens int) ([]float32, func(error)) {
		state := make([]float32, n)
		return state, func(err error) {
			mu.Lock()
			defer mu.Unlock()
			if err == nil && tokens >= most {
				most, *to = tokens, state
			}
		}
	}
}

// alone draws what a request draws if the engine is its own.
func alone(t *testing.T, e *engine.Engine, r *Request, seed int) (ids []int, final []float32) {
	t.Helper()
	s, err := e.NewSeq(r.State)
	if err != nil {
		t.Fatal(err)
	}
	smp := tinySampler(t, e, seed)
	rows := []engine.Row{{Seq: s, Tokens: r.Prompt, Want: engine.WantDraw, Sampler: smp, Prompt: r.Penal}}
	for len(ids) < r.Max {
		if err := errors.Join(e.Feed(t.Context(), rows), rows[0].Err); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, rows[0].ID)
		rows[0].Tokens, rows[0].Prompt = []int{rows[0].ID}, false
	}
	final = make([]float32, e.Model.Program.StateLen())
	saved, err := e.Save([]*engine.Seq{s}, [][]float32{final})
	if err := errors.Join(err, saved.Wait()); err != nil {
		t.Fatal(err)
	}
	s.Release()
	return ids, final
}

// On a real engine, with fewer slots than requests and fewer sequences in a pass than slots, each request draws the
// tokens that it draws alone, from its own state, however often it was parked, beside requests with log-probabilities.
func TestOnEngine(t *testing.T) {
	eachEngine(t, engine.Options{Slots: 4, Seqs: 3, Chunk: 16, Keep: 20, Exact: true}, func(t *testing.T, e *engine.Engine) {
		const n = 14
		var requests [n]Request
		var want [n][]int
		var final, last [n][]float32
		var drawn [n][]int
		state := make([]float32, e.Model.Program.StateLen())
		for i := range state {
			state[i] = float32(i%5) / 8
		}
		for i := range requests {
			r := &requests[i]
			*r = Request{User: string(rune('a' + i%3)), Sampler: tinySampler(t, e, i), Max: 9 + i, Penal: i%2 == 0,
				Probabilities: Probabilities{Logprobs: i%4 == 1, Top: i % 4 / 3 * 2}}
			for j := range 1 + i*i%37 {
				r.Prompt = append(r.Prompt, (i*j+3*j)%e.Model.Vocab)
			}
			if i%5 == 2 {
				r.State = state
			}
			r.Token = func(tok Token) bool {
				if (r.Logprobs || r.Top > 0) != (tok.Logprob != 0) || len(tok.Alternatives) != r.Top {
					t.Errorf("request %d: %+v", i, tok)
				}
				drawn[i] = append(drawn[i], tok.ID)
				return true
			}
			r.Keep = into(&last[i], len(state))
			want[i], final[i] = alone(t, e, r, i)
		}
		s := prepare(engineRunner{e}, e.Stats().Slots, e.Seqs(), e.Chunk(), Options{Quantum: 8, Parked: 6})
		jobs := make([]*Job, n)
		var wg sync.WaitGroup
		for i := range requests {
			wg.Add(1)
			go func() {
				defer wg.Done()
				var err error
				if jobs[i], err = s.Submit(context.Background(), requests[i]); err != nil {
					t.Error(err)
				}
			}()
		}
		wg.Wait()
		go s.loop()
		s.Close(t.Context())
		for i, j := range jobs {
			if err := j.Err(); err != nil || !slices.Equal(drawn[i], want[i]) {
				t.Errorf("request %d: drew %v, want %v (%v)", i, drawn[i], want[i], err)
			}
			for k, v := range last[i] {
				if d := v - final[i][k]; !(d < 1e-4 && d > -1e-4) {
					t.Fatalf("request %d: element %d of the state is %v, want %v", i, k, v, final[i][k])
				}
			}
		}
		if st := s.Stats(); st.Parkings < 5 || st.Done != n || e.Stats().InUse != 0 {
			t.Errorf("%+v, %d slots in use", st, e.Stats().InUse)
		}
	})
}

// The logits of a prompt that a request is told of are those of the engine used alone, from any state, in pieces,
// beside others, and the token drawn after them is the same.
func TestPrompted(t *testing.T) {
	eachEngine(t, engine.Options{Slots: 4, Seqs: 3, Chunk: 16, Exact: true}, func(t *testing.T, e *engine.Engine) {
		s := New(e, Options{Quantum: 8})
		const n = 6
		var jobs [n]*Job
		var got, want [n][][]float32
		var drawn, ids [n][]int
		requests := make([]Request, n)
		for i := range n {
			r := Request{Sampler: tinySampler(t, e, i), Max: i % 3, Marks: []int{1}, Keep: into(new([]float32), e.Model.Program.StateLen())}
			for j := range 1 + 9*i {
				r.Prompt = append(r.Prompt, (i*j+3*j)%e.Model.Vocab)
			}
			r.Token = func(t Token) bool { drawn[i] = append(drawn[i], t.ID); return true }
			r.Prompted = func(at int, logits []float32) error {
				if at != len(got[i]) {
					t.Errorf("request %d: told of token %d after %d", i, at, len(got[i]))
				}
				got[i] = append(got[i], slices.Clone(logits))
				return nil
			}
			if last := len(r.Prompt) - 1; last > 0 {
				seq, err := e.NewSeq(nil)
				if err != nil {
					t.Fatal(err)
				}
				rows := []engine.Row{{Seq: seq, Tokens: r.Prompt[:last], Want: engine.WantLogits, Last: last, Each: func(_ int, logits []float32) error {
					want[i] = append(want[i], slices.Clone(logits))
					return nil
				}}}
				if err := errors.Join(e.Feed(t.Context(), rows), rows[0].Err); err != nil {
					t.Fatal(err)
				}
				seq.Release()
			}
			ids[i], _ = alone(t, e, &r, i)
			requests[i] = r
		}
		for i, r := range requests { // now that nothing else needs slots
			var err error
			if jobs[i], err = s.Submit(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		bad := errors.New("bad")
		r := Request{Prompt: []int{1, 2, 3}}
		r.Prompted = func(int, []float32) error { return bad }
		failing, err := s.Submit(t.Context(), r)
		if err != nil || !errors.Is(failing.Err(), bad) {
			t.Errorf("want %v, got %v, %v", bad, failing.Err(), err)
		}
		for i, j := range jobs {
			if err := j.Err(); err != nil || !slices.EqualFunc(got[i], want[i], slices.Equal[[]float32]) {
				t.Errorf("request %d: other logits, of %d tokens, want %d (%v)", i, len(got[i]), len(want[i]), err)
			}
			if !slices.Equal(drawn[i], ids[i]) {
				t.Errorf("request %d: drew %v, want %v", i, drawn[i], ids[i])
			}
		}
		s.Close(t.Context())
	})
}

// What is wrong with one request ends it alone.
func TestBadRequest(t *testing.T) {
	eachEngine(t, engine.Options{Slots: 2}, func(t *testing.T, e *engine.Engine) {
		s := New(e, Options{})
		count := 0
		token := func(Token) bool { count++; return true }
		good, err := s.Submit(t.Context(), Request{Prompt: []int{1, 2}, Max: 20, Sampler: tinySampler(t, e, 1), Token: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range []Request{
			{Prompt: []int{1, e.Model.Vocab}},
			{Prompt: []int{1}, State: make([]float32, 3)},
			{Prompt: []int{1}, Keep: into(new([]float32), 3)},
			{Prompt: []int{1}, Max: 1, Token: token, Sampler: anySampler},
		} {
			bad, err := s.Submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if bad.Err() == nil {
				t.Errorf("%+v: no error", r)
			}
		}
		if err := good.Err(); err != nil || count != 20 {
			t.Errorf("the good request: %d tokens, %v", count, err)
		}
		s.Close(t.Context())
	})
}

// A token costs no allocation on a device, of one sequence or of more than fit a pass.
func TestTokensAllocateNothing(t *testing.T) {
	onEngine(t, "gpu", engine.Options{Slots: 5, Seqs: 3}, func(t *testing.T, e *engine.Engine) {
		for _, n := range []int{1, 3, 5} {
			s := prepare(engineRunner{e}, 5, 3, 16, Options{})
			var jobs []*Job
			for i := range n {
				j, err := s.Submit(t.Context(), Request{Prompt: []int{i}, Max: 1 << 20, Sampler: tinySampler(t, e, 1), Token: func(Token) bool { return true }})
				if err != nil {
					t.Fatal(err)
				}
				jobs = append(jobs, j)
			}
			cycle := func() { s.cycle() }
			for range 200 {
				cycle()
			}
			if a := gputest.Allocs(50, cycle); a > 0 {
				t.Errorf("%d sequences: %v allocations a round", n, a)
			}
			for _, j := range jobs {
				j.Cancel()
			}
			s.leave()
		}
	})
}
