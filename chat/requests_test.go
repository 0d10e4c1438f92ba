package chat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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

// Answers to requests that a model was not trained on, at temperature 0.8, hold what was asked for and end by
// themselves. RWKV_DEMO_WEIGHTS names the model's file; the embedded model is trained for no requests, so without the
// variable nothing is measured. RWKV_DEMO_REQUESTS is how many of the 200 requests are made, RWKV_DEMO_TOP_P another
// top-p than 1.
func TestRequests(t *testing.T) {
	weights := os.Getenv("RWKV_DEMO_WEIGHTS")
	if weights == "" {
		t.Skip("RWKV_DEMO_WEIGHTS names no model that is trained for requests")
	}
	all := readRequests(t)
	count := setting(t, "RWKV_DEMO_REQUESTS", 200)
	vocab := filepath.Join(reference.Root(t), "model", "demo", "vocab.txt")
	s, _, _ := serve(t, load.Options{Model: weights, Vocab: vocab}, engine.Options{Slots: 32}, completion.Options{Schedule: schedule.Options{Queue: 256}})
	params := sample.Default()
	params.Temperature, params.TopP = 0.8, float32(setting(t, "RWKV_DEMO_TOP_P", 1))
	var running []*completion.Completion
	var made []request
	for i := range int(count) {
		r := all[i*len(all)/int(count)]
		made = append(made, r)
		params.Seed = uint64(i)
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
	if 100*sum.held < 80*sum.all || 100*sum.ended < 95*sum.all {
		t.Errorf("of %d answers, %d hold what was asked for and %d end by themselves; want 80 and 95 of 100", sum.all, sum.held, sum.ended)
	}
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

// setting returns the number in a variable of the environment, or what holds without it.
func setting(t *testing.T, name string, without float64) float64 {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		return without
	}
	x, err := strconv.ParseFloat(value, 64)
	if err != nil || x <= 0 || x > 200 {
		t.Fatalf("%s: want a number from 0 to 200, got %q", name, value)
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
