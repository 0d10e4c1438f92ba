package chat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// request is a line of model/demo/testdata/requests.jsonl, which train/heldout.py there writes and describes.
type request struct {
	Kind      string
	Messages  [][2]string
	Holds     [][]string
	Sentences int
}

// answered is how many of the requests of a kind were answered well.
type answered struct{ all, held, ended int }

func (a *answered) add(b answered) {
	a.all, a.held, a.ended = a.all+b.all, a.held+b.held, a.ended+b.ended
}

// The model was not trained on these requests. At temperature 0.8, 80 of 100 answers hold what was asked for, and 95
// end by themselves. RWKV_DEMO_REQUESTS is how many of the 200 requests are made, 40 without it. RWKV_DEMO_WEIGHTS names
// a file to measure in place of the embedded weights, RWKV_DEMO_TOP_P another top-p than 1, and RWKV_DEMO_SEED a number
// from which other seeds follow.
func TestRequests(t *testing.T) {
	reference.Numbers(t)
	all := readRequests(t)
	count := setting(t, "RWKV_DEMO_REQUESTS", 1, 40)
	model := load.Options{Model: os.Getenv("RWKV_DEMO_WEIGHTS")}
	if model.Model != "" {
		model.Vocab = filepath.Join(reference.Root(t), "model", "demo", "vocab.txt")
	}
	s, _, _ := serve(t, model, engine.Options{Slots: 32}, completion.Options{Schedule: schedule.Options{Queue: 256}})
	params := sample.Default()
	params.Temperature, params.TopP = 0.8, float32(setting(t, "RWKV_DEMO_TOP_P", 0, 1))
	seed := uint64(setting(t, "RWKV_DEMO_SEED", 0, 0))
	var running []*completion.Completion
	var made []request
	for i := range int(count) {
		r := all[i*len(all)/int(count)]
		made = append(made, r)
		params.Seed = 1000*seed + uint64(i)
		running = append(running, start(t, s, r, params))
	}
	var sum answered
	kinds := map[string]*answered{}
	for i, c := range running {
		for range c.Pieces() {
		}
		result, err := c.Result()
		if err != nil {
			t.Fatal(err)
		}
		one := answered{all: 1}
		if made[i].heldBy(result.Text) {
			one.held = 1
		}
		if result.Finish == text.FinishedEnd || result.Finish == text.FinishedStop {
			one.ended = 1
		}
		t.Logf("%s, held %d, ended %d: %s\n=> %s", made[i].Kind, one.held, one.ended, made[i].last(), result.Text)
		if kinds[made[i].Kind] == nil {
			kinds[made[i].Kind] = &answered{}
		}
		kinds[made[i].Kind].add(one)
		sum.add(one)
	}
	for kind, a := range kinds {
		t.Logf("%s: %d requests, %d held, %d ended", kind, a.all, a.held, a.ended)
	}
	t.Logf("together: %d requests, %d held, %d ended", sum.all, sum.held, sum.ended)
	if held, ended := fewest(sum.all, 0.80), fewest(sum.all, 0.95); sum.held < held || sum.ended < ended {
		t.Errorf("of %d answers, %d hold what was asked for and %d end by themselves; want %d and %d", sum.all, sum.held, sum.ended, held, ended)
	}
}

// fewest returns how many of n answers must be good where a share of all shall be. For the 200 requests together that is
// the share itself. A part of them is a sample, which other roundings of logits change, so it may have fewer by 3.7
// standard deviations: chance alone takes more once in 10,000 times.
func fewest(n int, share float64) int {
	want := share * float64(n)
	if n < 200 {
		want -= 3.7 * math.Sqrt(want*(1-share))
	}
	return int(math.Ceil(want))
}

func readRequests(t *testing.T) (all []request) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "model", "demo", "testdata", "requests.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var r request
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) != 200 {
		t.Fatalf("requests.jsonl: %d requests, want 200", len(all))
	}
	return all
}

// setting returns the number in a variable of the environment, at least least, or what holds without it.
func setting(t *testing.T, name string, least, without float64) float64 {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return without
	}
	x, err := strconv.ParseFloat(value, 64)
	if err != nil || x < least || x > 200 {
		t.Fatalf("%s: want a number from %g to 200, got %q", name, least, value)
	}
	return x
}

func start(t *testing.T, s *completion.Service, r request, params sample.Params) *completion.Completion {
	t.Helper()
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	var messages []prompt.Message
	for _, m := range r.Messages {
		messages = append(messages, prompt.Message{Role: prompt.Role(m[0]), Content: m[1]})
	}
	p, err := dialect.Render(messages, prompt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := completion.Request{User: fmt.Sprint(params.Seed), Sample: params, Max: 512, Stop: p.Stop}
	for _, part := range p.Segments {
		q.Prompt = append(q.Prompt, statecache.Segment{Text: part.Text})
	}
	c, err := s.Start(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *request) last() string { return r.Messages[len(r.Messages)-1][1] }

var sentence = regexp.MustCompile(`[.!?]+["']?(\s|$)`)

// heldBy reports whether a text has a word of each list of r.Holds, and no more sentences than asked for.
func (r *request) heldBy(text string) bool {
	for _, words := range r.Holds {
		if !regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)\b`).MatchString(text) {
			return false
		}
	}
	return r.Sentences == 0 || len(sentence.FindAllString(text, -1)) <= r.Sentences
}

// Every request can be written in the dialect and asks for something.
func TestRequestsAreWhole(t *testing.T) {
	kinds := map[string]int{}
	for i, r := range readRequests(t) {
		last := r.Messages[len(r.Messages)-1]
		if last[0] != string(prompt.User) || last[1] == "" || len(r.Holds) == 0 || slices.ContainsFunc(r.Holds, func(w []string) bool { return len(w) == 0 }) {
			t.Errorf("request %d: %+v", i, r)
		}
		kinds[r.Kind]++
	}
	if len(kinds) != 9 {
		t.Errorf("kinds of requests: %v", kinds)
	}
}

// heldBy takes plurals and capitals, whole words alone, and counts sentences.
func TestHeldBy(t *testing.T) {
	r := request{Holds: [][]string{{"fox", "foxes"}, {"well", "wells"}}, Sentences: 2}
	for text, want := range map[string]bool{
		"Foxes sat by the well.":             true,
		"\"A fox,\" he said. \"Well!\"":      true,
		"A foxglove grew by the well.":       false,
		"A fox slept.":                       false,
		"A fox. A well. And then it rained.": false,
	} {
		if got := r.heldBy(text); got != want {
			t.Errorf("%q: held %v, want %v", text, got, want)
		}
	}
}
