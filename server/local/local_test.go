package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// open returns the demo model on the CPU, exact.
func open(t *testing.T, slots int, o Options) *Model {
	t.Helper()
	m, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := device.Open("cpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m.Model, d, engine.Options{Slots: slots, Exact: true, Keep: 64})
	if err != nil {
		t.Fatal(err)
	}
	o.Names, o.ID = []string{"demo", "also"}, "0123456789abcdef01"
	model, err := New(e, tok, o)
	if err != nil {
		t.Fatal(err)
	}
	model.Own(e.Close, d.Close, m.Close)
	t.Cleanup(func() {
		if err := model.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if !errors.Is(model.Health(), api.ErrClosing) {
			t.Error("a closed model is healthy")
		}
		if _, err := model.Start(context.Background(), []api.Request{{IDs: []int{1}}}); !errors.Is(err, api.ErrClosing) {
			t.Errorf("a request after the end: %v", err)
		}
	})
	return model
}

// all reads an answer to its end.
func all(t *testing.T, m *Model, r api.Request) (string, []api.Token, api.Result) {
	t.Helper()
	streams, err := m.Start(t.Context(), []api.Request{r})
	if err != nil {
		t.Fatal(err)
	}
	return rest(t, streams[0])
}

// rest reads a stream to its end.
func rest(t *testing.T, s api.Stream) (string, []api.Token, api.Result) {
	t.Helper()
	defer s.Close()
	var text strings.Builder
	var tokens []api.Token
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			return text.String(), tokens, s.Result()
		}
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(p.Text)
		tokens = append(tokens, p.Tokens...)
	}
}

func greedy() sample.Params {
	p := sample.Default()
	p.Temperature = 0
	return p
}

func said(text string) []prompt.Segment { return []prompt.Segment{{Text: text, End: prompt.Turn}} }

func tokensText(tokens []api.Token) (text string) {
	for _, t := range tokens {
		text += string(t.Bytes)
	}
	return text
}

// Tokens are told of with their text, and none of a stop string is, wherever it ends.
func TestTokens(t *testing.T) {
	m := open(t, 2, Options{})
	whole, tokens, r := all(t, m, api.Request{Segments: said("Once upon a time"), Params: greedy(), Max: 24, Logprobs: true, Top: 2})
	if tokensText(tokens) != whole || len(tokens) != 24 || r.Drawn != 24 || r.Finish != text.FinishedLength || r.Prompt != 4 {
		t.Fatalf("%q of %d tokens, %q; %+v", tokensText(tokens), len(tokens), whole, r)
	}
	for _, tok := range tokens {
		if tok.Prompt || len(tok.Top) != 2 || tok.Top[0].ID != tok.ID || tok.Logprob != tok.Top[0].Logprob || tok.Logprob > 0 {
			t.Errorf("%+v", tok)
		}
	}
	for from := 5; from < len(whole)-6; from += 7 {
		stop := whole[from : from+6]
		got, tokens, r := all(t, m, api.Request{Segments: said("Once upon a time"), Params: greedy(), Max: 24, Logprobs: true, Stop: []string{stop}})
		want, _, _ := strings.Cut(whole, stop)
		if got != want || r.Finish != text.FinishedStop || r.Stop != stop || !strings.HasPrefix(want, tokensText(tokens)) && tokensText(tokens) != "" || len(want)-len(tokensText(tokens)) > 12 {
			t.Errorf("stop %q: %q with tokens of %q, want %q; %+v", stop, got, tokensText(tokens), want, r)
		}
	}
}

// The end of a text that was drawn is told of, as likely as the model has it and without any bytes.
func TestEndToken(t *testing.T) {
	m := open(t, 2, Options{})
	p := greedy()
	p.Bias = map[int]float32{text.EndOfText: 1000}
	for _, r := range []api.Request{{Segments: said("Once upon a time")}, {IDs: []int{5, 6, 7}, Prompted: true}} {
		r.Params, r.Max, r.Logprobs, r.Top = p, 1, true, 1
		got, tokens, result := all(t, m, r)
		n := 1
		if r.Prompted {
			n += len(r.IDs)
		}
		if got != "" || len(tokens) != n || result.Finish != text.FinishedEnd {
			t.Fatalf("%q of %d tokens: %+v", got, len(tokens), result)
		}
		if last := tokens[n-1]; last.ID != text.EndOfText || last.Prompt || len(last.Bytes) != 0 || len(last.Top) != 1 || !(last.Logprob < 0) {
			t.Errorf("%+v", last)
		}
	}
}

// A prompt's tokens are as likely as the model says that they are, where the prompt is encoded and where it is given as ids,
// and nothing of the answer is told of where none was asked for.
func TestPrompted(t *testing.T) {
	m := open(t, 2, Options{Completion: completion.Options{Cache: statecache.Options{Host: 64 << 20}}})
	const said1 = "Once upon a time there was a fox."
	ids, err := m.Tokenizer().AppendEncode(nil, []byte(said1))
	if err != nil {
		t.Fatal(err)
	}
	var want []float32
	for i := 1; i < len(ids); i++ { // an independent way: the token that is drawn next, forced by a bias
		p := greedy()
		p.Bias = map[int]float32{ids[i]: 1000}
		_, tokens, _ := all(t, m, api.Request{IDs: ids[:i], Params: p, Max: 1, Logprobs: true, Cold: true})
		if len(tokens) != 1 || tokens[0].ID != ids[i] {
			t.Fatalf("%+v", tokens)
		}
		want = append(want, tokens[0].Logprob)
	}
	for name, r := range map[string]api.Request{"text": {Segments: said(said1)}, "ids": {IDs: ids}, "segments": {Segments: []prompt.Segment{{Text: "Once upon a time"}, {Text: " there was a fox."}}}} {
		for _, most := range []int{0, 3} {
			r.Params, r.Max, r.Logprobs, r.Top, r.Prompted = greedy(), most, true, 3, true
			_, tokens, result := all(t, m, r)
			if len(tokens) != len(ids)+most || result.Drawn != most || result.Cached != 0 || result.Prompt != len(ids) {
				t.Fatalf("%s, %d drawn: %d tokens; %+v", name, most, len(tokens), result)
			}
			for i, tok := range tokens {
				if tok.Prompt != (i < len(ids)) || i < len(ids) && tok.ID != ids[i] || i > 0 && len(tok.Top) != 3 {
					t.Errorf("%s: token %d: %+v", name, i, tok)
				}
				switch d := tok.Logprob - want[max(min(i-1, len(want)-1), 0)]; {
				case i == 0 && !math.IsNaN(float64(tok.Logprob)):
					t.Errorf("%s: the first token is as likely as %v", name, tok.Logprob)
				case i > 0 && i < len(ids) && !(d < 1e-5 && d > -1e-5):
					t.Errorf("%s: token %d: %v, want %v", name, i, tok.Logprob, want[i-1])
				}
			}
		}
	}
}

// What one user's texts left is no other's, and a request that wants nothing of the cache gets nothing.
func TestSpaces(t *testing.T) {
	m := open(t, 2, Options{Completion: completion.Options{Cache: statecache.Options{Host: 64 << 20}}})
	long := strings.Repeat("Once upon a time there was a fox who lived in a forest. ", 4)
	for _, c := range []struct {
		r      api.Request
		cached bool
	}{
		{api.Request{User: "ann"}, false},
		{api.Request{User: "ann"}, true},
		{api.Request{User: "bob"}, false},
		{api.Request{User: ""}, false},
		{api.Request{User: "ann", Cold: true}, false},
	} {
		c.r.Segments, c.r.Params, c.r.Max = []prompt.Segment{{Text: long, End: prompt.Anchor}, {Text: "The end"}}, greedy(), 4
		_, _, r := all(t, m, c.r)
		if (r.Cached > 0) != c.cached {
			t.Errorf("%+v: %d tokens cached", c.r.User, r.Cached)
		}
	}
}

// 64 requests at once give the texts that each gives alone.
func TestTogether(t *testing.T) {
	m := open(t, 8, Options{Completion: completion.Options{Cache: statecache.Options{Host: 64 << 20}}})
	request := func(i int) api.Request {
		p := sample.Default()
		p.Seed, p.Presence = uint64(i), float32(i%3)/2
		return api.Request{User: fmt.Sprint(i % 5), Segments: []prompt.Segment{{Text: "Once upon a time", End: prompt.Anchor}, {Text: fmt.Sprintf(" there were %d foxes", i)}}, Params: p, Max: 2 + i%5, Stop: []string{"."}}
	}
	n := 64
	if testing.Short() {
		n = 24
	}
	want, got := make([]string, n), make([]string, n)
	for i := range n {
		want[i], _, _ = all(t, m, request(i))
	}
	var wait sync.WaitGroup
	for i := range n {
		wait.Add(1)
		go func() {
			defer wait.Done()
			got[i], _, _ = all(t, m, request(i))
		}()
	}
	wait.Wait()
	if !slices.Equal(got, want) {
		t.Errorf("together:\n%q\nalone:\n%q", got, want)
	}
}

// A request that is closed, or whose client leaves, frees its slot.
func TestLeaving(t *testing.T) {
	m := open(t, 1, Options{})
	p := greedy()
	p.Bias = map[int]float32{text.EndOfText: -1000}
	endless := []api.Request{{Segments: said("Once"), Params: p, Max: 1 << 20}}
	for _, how := range []string{"close", "context"} {
		ctx, cancel := context.WithCancel(t.Context())
		streams, err := m.Start(ctx, endless)
		if err != nil {
			t.Fatal(err)
		}
		s := streams[0]
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		if how == "close" {
			s.Close()
		} else {
			cancel()
		}
		for err == nil {
			_, err = s.Next()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", how, err)
		}
		s.Close()
		cancel()
		if text, _, _ := all(t, m, api.Request{Segments: said("Once"), Params: greedy(), Max: 2}); text == "" {
			t.Errorf("%s: the slot is not free", how)
		}
	}
}

// Errors are those of package api.
func TestFaults(t *testing.T) {
	m := open(t, 1, Options{Completion: completion.Options{Schedule: schedule.Options{Queue: 1}, Buffer: 1 << 10}})
	p := greedy()
	p.Bias = map[int]float32{text.EndOfText: -1000}
	endless := []api.Request{{Segments: said("Once"), Params: p, Max: 1 << 20}}
	streams, err := m.Start(t.Context(), endless)
	if err != nil {
		t.Fatal(err)
	}
	slow := streams[0]
	busy := error(nil)
	var open []api.Stream
	for busy == nil {
		var more []api.Stream
		more, busy = m.Start(t.Context(), endless)
		open = append(open, more...)
	}
	if !errors.Is(busy, api.ErrBusy) {
		t.Errorf("a full queue: %v", busy)
	}
	<-slow.(*stream).c.Done()
	for err == nil {
		_, err = slow.Next()
	}
	if !errors.Is(err, api.ErrSlow) {
		t.Errorf("nothing is read: %v", err)
	}
	for _, s := range open {
		s.Close()
		s.Result()
	}
	var own *wire.Error
	p.TopK = -1
	if _, err := m.Start(t.Context(), []api.Request{{Segments: said("Once"), Params: p, Max: 1}}); !errors.As(err, &own) ||
		own.Status != http.StatusBadRequest || own.Param != "top_k" {
		t.Errorf("settings that cannot be used: %v", err)
	}
	own = nil
	if err := m.fault(fmt.Errorf("x: %w", engine.ErrDeviceLost)); !errors.Is(err, api.ErrDevice) || m.Health() != nil || errors.As(err, &own) {
		t.Errorf("a lost device, which is opened anew: %v, %v", err, m.Health())
	}
	m.failed = func() error { return engine.ErrDeviceLost }
	if err := m.fault(nil); err != nil || !errors.Is(m.Health(), api.ErrDevice) {
		t.Errorf("a device that was given up: %v, %v", err, m.Health())
	}
	if i := m.Info(); !i.Called("demo") || !i.Called("also") || !i.Called("") || i.Called("other") || i.Sequences != 1 {
		t.Errorf("%+v", i)
	}
}

func TestMeasure(t *testing.T) {
	m := open(t, 1, Options{})
	seen := gauges{}
	all(t, m, api.Request{Segments: said("Once"), Params: greedy(), Max: 2})
	m.Measure(seen)
	if len(seen) < 8 || seen["queue_requests"] != 0 {
		t.Errorf("%v", seen)
	}
}

type gauges map[string]float64

func (g gauges) Gauge(name, help string, value func() float64) { g[name] = value() }

func (g gauges) Counter(name, help string, value func() float64) { g[name] = value() }
