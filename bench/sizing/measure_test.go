package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// scripted is a server that answers with a word for each token asked for, and fails on every request of a number.
func scripted(t *testing.T, failing int64) (url string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		var body struct {
			Messages []message
			Most     int `json:"max_tokens"`
			Stream   bool
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || !body.Stream || r.URL.Path != "/v1/chat/completions" || r.Header.Get("Authorization") != "Bearer k" {
			t.Errorf("%s %v: %v", r.URL, r.Header, err)
		}
		if failing > 0 && n%failing == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		prompt := 0
		for _, m := range body.Messages {
			prompt += len(strings.Fields(m.Content))
		}
		for range body.Most {
			_, _ = fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"word \"}}]}\n\n") // a client that has gone reads nothing
		}
		_, _ = fmt.Fprintf(w, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%d}}\n\ndata: [DONE]\n\n", prompt, body.Most)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// A trace has what came of each turn: tokens of prompts and answers, and times. It plays through the simulation.
func TestMeasure(t *testing.T) {
	a, first := scripted(t, 0)
	b, second := scripted(t, 0)
	path := filepath.Join(t.TempDir(), "trace.json")
	var out, errors strings.Builder
	if status := run(t.Context(), strings.Fields("--measure "+a+","+b+" --key k --rate 400 --duration 100ms --turns 3 --think 1ms --prompt 5-30 --answer 4-20 --trace "+path),
		&out, &errors); status != done {
		t.Fatalf("status %d: %s", status, &errors)
	}
	var got trace
	if err := readJSON(path, &got); err != nil {
		t.Fatal(err)
	}
	turns, longer := 0, 0
	for _, s := range got.Sessions {
		all := 0
		for i, one := range s.Turns {
			turns++
			if one.Lost || one.First <= 0 || one.Took < one.First || one.Answer < 4 || one.Answer > 20 || one.New < 5 || one.New > 30 || one.All != all+one.New {
				t.Errorf("turn %d behind %d tokens: %+v", i, all, one)
			}
			all = one.All + one.Answer
			longer += i
		}
	}
	if int64(turns) != first.Load()+second.Load() || first.Load() == 0 || second.Load() == 0 || longer == 0 || got.Replicas != 2 {
		t.Errorf("%d turns of %d replicas, asked %d and %d", turns, got.Replicas, first.Load(), second.Load())
	}
	out.Reset()
	if status := run(t.Context(), []string{"--replay", path}, &out, &errors); status != done || !strings.Contains(out.String(), "mean s to the last token") {
		t.Errorf("status %d: %s%s", status, &out, &errors)
	}
}

// A session ends at an answer that is not whole, and the report counts it.
func TestMeasureLost(t *testing.T) {
	url, _ := scripted(t, 3)
	var out, errors strings.Builder
	if status := run(t.Context(), strings.Fields("--measure "+url+" --key k --rate 400 --duration 50ms --turns 4 --think 0s --prompt 5 --answer 4"), &out, &errors); status != done {
		t.Fatalf("status %d: %s", status, &errors)
	}
	if strings.Contains(out.String(), " 0 without a whole answer") {
		t.Error(out.String())
	}
}

// Wrong flags and files are named.
func TestWrong(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		args, want string
		status     int
	}{
		{"x", "arguments: want none, got x", usage},
		{"--rate 0", "--rate: want more than 0, got 0", usage},
		{"--turns 0.5", "--turns: want 1 or more, got 0.5", usage},
		{"--prompt 9-3", `--prompt: want a number, or a first and a last one such as 20-200, got "9-3"`, usage},
		{"--answer 0", `--answer: want a number`, usage},
		{"--replicas 1,x", `--replicas: want numbers of at least 1`, usage},
		{"--goal 0s", "--goal: want more than 0", usage},
		{"--costs " + file("a", "{}"), "want at least one time, got none", failed},
		{"--costs " + file("b", `{"step":[]}`), `unknown field "step"`, failed},
		{"--costs " + filepath.Join(dir, "none"), "none", failed},
		{"--bench " + file("c", `{"results":[{"test":"tg8","batch":1,"tokens_per_s":{"median":3}}]}`), "want tests tg of one length with several batches, and tests pp of several lengths, got 1 and 0", failed},
		{"--replay " + file("d", `[]`), "cannot unmarshal", failed},
	} {
		var out, errors strings.Builder
		if status := run(t.Context(), strings.Fields(c.args), &out, &errors); status != c.status || !strings.Contains(errors.String(), c.want) {
			t.Errorf("%s: status %d, %q, want %q", c.args, status, errors.String(), c.want)
		}
	}
}

// The table's rows are those that were asked for. Steps and passes come from what bench writes.
func TestTable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bench.json")
	text := `{"results":[{"test":"pp64","batch":1,"tokens_per_s":{"median":6400}},{"test":"pp16","batch":1,"tokens_per_s":{"median":3200}},
		{"test":"tg64","batch":4,"tokens_per_s":{"median":400}},{"test":"tg64","batch":1,"tokens_per_s":{"median":200}},{"test":"tg64","batch":1,"depth":9,"tokens_per_s":{"median":1}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := someCosts()
	if err := c.benched(path); err != nil || fmt.Sprint(c.Steps, c.Reads) != "[{1 0.005} {4 0.01}] [{16 0.005} {64 0.01}]" {
		t.Errorf("%v %v: %v", c.Steps, c.Reads, err)
	}
	var out, errors strings.Builder
	if status := run(t.Context(), strings.Fields("--replicas 1,4 --bench "+path), &out, &errors); status != done {
		t.Fatalf("status %d: %s", status, &errors)
	}
	if rows := strings.Split(strings.TrimSpace(out.String()), "\n"); len(rows) != 3 || !strings.HasPrefix(strings.TrimSpace(rows[2]), "4 ") {
		t.Error(out.String())
	}
}
