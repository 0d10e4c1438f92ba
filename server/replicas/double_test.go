package replicas

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster"
	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
	"github.com/rwkv-gpu/rwkv-gpu/cluster/store"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// words is a scripted model with states: an answer is words that depend on all of its prompt, and a state is the ids.
type words struct {
	*scripted.Model
	// These change while other goroutines look.
	slots, queue atomic.Int64
	hold         atomic.Pointer[chan struct{}] // that each token waits for, if there is one
	fail         atomic.Pointer[wire.Error]    // of each request, if there is one

	mu    sync.Mutex
	known map[string]bool // users with ids
	own   []string        // keys of known that were kept here, and not learnt
}

func key(user string, ids []int) string { return fmt.Sprint(user, ids) }

func (w *words) Load() (waiting, working int) {
	n, slots := w.Open(), int(w.slots.Load())
	return max(n-slots, 0), min(n, slots)
}

func (w *words) Info() api.Info {
	i := w.Model.Info()
	i.Sequences = int(w.slots.Load())
	return i
}

func (w *words) Start(ctx context.Context, list []api.Request) ([]api.Stream, error) {
	if most := int(w.queue.Load()); most > 0 && w.Open() >= most && !list[0].Follows {
		return nil, api.ErrBusy
	}
	for i := range list {
		user, told := list[i].User, list[i].Kept
		if told == nil {
			continue
		}
		list[i].Kept = func(ids []int, state []float32) {
			w.mu.Lock()
			w.known[key(user, ids)] = true
			w.own = append(w.own, key(user, ids))
			w.mu.Unlock()
			told(ids, state)
		}
	}
	return w.Model.Start(ctx, list)
}

func (w *words) Knows(user string, ids []int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.known[key(user, ids)]
}

func (w *words) Learn(_ context.Context, user string, ids []int, state []float32) error {
	for i, v := range state {
		if int(v) != ids[i] || len(state) != len(ids) {
			return errors.New("another state")
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[key(user, ids)] = true
	return nil
}

// answerTo is what the model says: 10 to 60 words, then the end.
func answerTo(_ *api.Request, prompt string) (string, bool) {
	h := fnv.New64a()
	_, _ = io.WriteString(h, prompt)
	n := h.Sum64()
	var b strings.Builder
	for range 10 + n%51 {
		n = n*6364136223846793005 + 1442695040888963407
		fmt.Fprintf(&b, " %s", []string{"the", "fox", "and", "a", "dog", "ran", "far", "in", "snow", "until", "night"}[n>>40%11])
	}
	return b.String() + ".", true
}

// replica is a process of a test.
type replica struct {
	*Model
	words *words
	node  *cluster.Node
	dead  atomic.Bool
}

var vocabulary = sync.OnceValues(func() (tokenizer.Tokenizer, error) {
	return load.Vocabulary(load.Options{})
})

// start starts a replica whose tokens take a time each.
func start(t *testing.T, url string, token time.Duration) *replica {
	t.Helper()
	tok, err := vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	r := new(replica)
	r.words = &words{known: map[string]bool{}, Model: &scripted.Model{Tok: tok, Answer: answerTo, Forgets: true,
		What: api.Info{Name: "double", Vocab: tok.Size()}}}
	r.words.slots.Store(64)
	r.words.Fail = func(*api.Request) error {
		if e := r.words.fail.Load(); e != nil {
			return e
		}
		return nil
	}
	r.words.Pause = func(ctx context.Context) error {
		if c := r.words.hold.Load(); c != nil {
			select {
			case <-*c:
			case <-ctx.Done():
			}
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(token):
			return nil
		}
	}
	if r.node, err = cluster.Join(cluster.Options{URL: url, Name: "test", Group: Group("a model"), Silence: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	s, err := store.New(r.node.Conn(), store.Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Model, err = New(r.words, r.node, s, Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil && !r.dead.Load() {
			t.Error(err)
		}
		if n := r.words.Open(); n > 0 {
			t.Errorf("%d streams are open", n)
		}
	})
	return r
}

// kill has a replica say nothing more, as a process that is killed.
func (r *replica) kill() {
	r.dead.Store(true)
	r.node.Conn().Close()
}

// until waits until something holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	clustertest.Until(t, what, func() error {
		if !holds() {
			return errors.New("not yet")
		}
		return nil
	})
}

// meet waits until each replica knows all others.
func meet(t *testing.T, all ...*replica) {
	t.Helper()
	for _, r := range all {
		until(t, fmt.Sprint("others: ", len(all)-1), func() bool { return len(r.node.Peers()) == len(all)-1 })
	}
}

// opened waits until the store is there.
func opened(t *testing.T, r *replica) {
	t.Helper()
	clustertest.Until(t, "a store", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return r.store.(*store.Store).Open(ctx)
	})
}

// say returns the prompt of a conversation.
func say(said ...string) (list []prompt.Segment) {
	list = append(list, prompt.Segment{Text: "System: Be kind.", End: prompt.Anchor}, prompt.Segment{Text: "\n\n"})
	for i, text := range said {
		if i%2 == 0 {
			list = append(list, prompt.Segment{Text: "User: " + text, End: prompt.Turn}, prompt.Segment{Text: "\n\nAssistant:"})
			continue
		}
		list = append(list, prompt.Segment{Text: text, Answer: true, End: prompt.Turn}, prompt.Segment{Text: "\n\n"})
	}
	return list
}

// told is an answer as a client has it.
type told struct {
	text   string
	tokens []api.Token
	result api.Result
}

// read reads an answer to its end.
func read(s api.Stream) (a told, err error) {
	defer s.Close()
	for {
		p, err := s.Next()
		a.text, a.tokens = a.text+p.Text, append(a.tokens, p.Tokens...)
		if errors.Is(err, io.EOF) {
			a.result = s.Result()
			return a, nil
		}
		if err != nil {
			return a, err
		}
	}
}

// ask asks a replica.
func (r *replica) ask(ctx context.Context, q api.Request) (told, error) {
	list, err := r.Start(ctx, []api.Request{q})
	if err != nil {
		return told{}, err
	}
	return read(list[0])
}

// want is what one undisturbed process answers.
func want(t *testing.T, q api.Request) told {
	t.Helper()
	tok, err := vocabulary()
	if err != nil {
		t.Fatal(err)
	}
	m := &scripted.Model{Tok: tok, Answer: answerTo, What: api.Info{Name: "double", Vocab: tok.Size()}}
	list, err := m.Start(t.Context(), []api.Request{q})
	if err != nil {
		t.Fatal(err)
	}
	a, err := read(list[0])
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// same returns how an answer differs from one process's; "" for nothing.
func same(got, want told) string {
	sameToken := func(a, b api.Token) bool { return a.ID == b.ID && a.Logprob == b.Logprob && slices.Equal(a.Top, b.Top) }
	switch {
	case got.text != want.text:
		return fmt.Sprintf("got %q, want %q", got.text, want.text)
	case !slices.EqualFunc(got.tokens, want.tokens, sameToken):
		return fmt.Sprintf("got %d tokens, want %d", len(got.tokens), len(want.tokens))
	case got.result.Drawn != want.result.Drawn || got.result.Finish != want.result.Finish || got.result.Prompt != want.result.Prompt ||
		!slices.Equal(got.result.Whole, want.result.Whole):
		return fmt.Sprintf("got %+v, want %+v", got.result, want.result)
	}
	return ""
}
