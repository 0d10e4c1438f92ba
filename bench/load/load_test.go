package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a server that answers as it is told, and counts.
type fake struct {
	mu       sync.Mutex
	at       int            // requests that are under way
	most     int            // at once, of the others it refuses
	asked    map[string]int // by path
	turns    int            // chats with an assistant's message
	fail     func(n int) (status int, body string)
	events   []string
	retry    string
	drawn    int
	n        int
	paused   chan struct{} // nil: answers come at once
	finished int
}

const usageEvent = `{"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}}`

var wholeAnswer = []string{`{"choices":[{"delta":{"role":"assistant","content":""}}]}`, `{"choices":[{"text":"a","delta":{"content":"b"}}]}`,
	`{"choices":[{"text":"c","delta":{"reasoning_content":"d"}}]}`, `{"choices":[{"finish_reason":"length","delta":{}}]}`, usageEvent, "[DONE]"}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/metrics" {
		f.metrics(w)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has left
	}
	f.mu.Lock()
	f.n++
	f.asked[r.URL.Path]++
	if strings.Contains(string(body), `"role":"assistant"`) {
		f.turns++
	}
	refused := f.most > 0 && f.at >= f.most
	n := f.n
	if !refused {
		f.at++
		defer func() { f.mu.Lock(); f.at--; f.finished++; f.mu.Unlock() }()
	}
	f.mu.Unlock()
	if refused {
		w.Header().Set("Retry-After", f.retry)
		http.Error(w, "too many", http.StatusTooManyRequests)
		return
	}
	if f.fail != nil {
		if status, text := f.fail(n); status != 0 {
			http.Error(w, text, status)
			return
		}
	}
	if r.Header.Get("Authorization") != "Bearer secret" || !json.Valid(body) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	for _, e := range f.events {
		if f.paused != nil {
			select {
			case <-f.paused:
			case <-r.Context().Done():
				return
			}
		}
		_, _ = fmt.Fprintf(w, ": ping\n\ndata: %s\n\n", e) // the client may have left
		w.(http.Flusher).Flush()
	}
	f.mu.Lock()
	f.drawn += 3
	f.mu.Unlock()
}

func (f *fake) metrics(w io.Writer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, _ = fmt.Fprintf(w, "# TYPE go_goroutines gauge\ngo_goroutines 20\nprocess_open_fds 9\nprocess_resident_memory_bytes 1.048576e+06\nrwkv_requests_running %d\n"+
		"rwkv_drawn_tokens_total %d\nrwkv_prompt_tokens_total{a=\"b\"} 5\nrwkv_prompt_tokens_total{a=\"c\"} 6\n", f.at+1, f.drawn) // a client that left is told nothing
}

// TestMain lets all runs, which wait more than they work, run at once, however few cores there are.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// load runs the command against a fake server, and returns its status, the report, the table and the errors.
func load(t *testing.T, f *fake, args ...string) (status int, r *report, table, errors string) {
	t.Helper()
	f.asked, r = map[string]int{}, new(report)
	if f.events == nil {
		f.events = wholeAnswer
	}
	s := httptest.NewServer(f)
	defer s.Close()
	file := filepath.Join(t.TempDir(), "report.json")
	var out, errs bytes.Buffer
	status = run(t.Context(), append([]string{"--url", s.URL + "/", "--key", "secret", "--json", file, "--clients", "4", "--duration", "2s"}, args...), &out, &errs)
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, &errs)
	}
	return status, r, out.String(), errs.String()
}

// What is told is what the server has done.
func TestLoad(t *testing.T) {
	t.Parallel()
	f := &fake{}
	status, r, table, errs := load(t, f, "--leave", "0")
	if status != done || errs != "" || len(r.Faults) != 0 || len(r.Errors) != 0 {
		t.Fatalf("status %d, %s %+v", status, errs, r)
	}
	if n := r.Asked["chat"] + r.Asked["turn"]; n != f.asked["/v1/chat/completions"] || r.Asked["completion"] != f.asked["/v1/completions"] || r.Whole != f.n ||
		r.Asked["turn"] != f.turns || f.turns == 0 || r.Asked["chat"] == 0 || r.Asked["completion"] == 0 {
		t.Errorf("%v, %d whole, and the server has answered %v, %d turns", r.Asked, r.Whole, f.asked, f.turns)
	}
	if r.First.N != f.n || r.Gap.N != f.n || r.Answer.N != f.n || int(r.Drawn) > f.drawn || r.Speed <= 0 || len(r.Samples) < 2 || r.Samples[0].Memory != 1<<20 || r.Samples[0].Prompt != 11 {
		t.Errorf("%d answers: %+v", f.n, r)
	}
	if !strings.Contains(table, fmt.Sprintf("%d answers whole, 0 left, 0 failed", f.n)) {
		t.Errorf("%s", table)
	}
}

// Clients leave a share of the answers, and nobody calls that an error.
func TestLoadLeaves(t *testing.T) {
	t.Parallel()
	long := wholeAnswer[:1:1]
	for range 12 {
		long = append(long, wholeAnswer[1])
	}
	status, r, _, errs := load(t, &fake{events: append(long, wholeAnswer[3:]...)}, "--leave", "0.6")
	if status != done || errs != "" || r.Left == 0 || r.Whole == 0 || len(r.Errors) != 0 {
		t.Errorf("status %d, %s %+v", status, errs, r)
	}
}

// Whatever is wrong with an answer is counted by its kind, and makes the status 1.
func TestLoadErrors(t *testing.T) {
	t.Parallel()
	half := func(n int) (int, string) { return map[bool]int{true: http.StatusInternalServerError}[n%2 == 0], "oh" }
	for name, c := range map[string]struct {
		f            *fake
		kind, detail string
	}{
		"status":    {&fake{fail: half}, "status 500", "oh"},
		"no done":   {&fake{events: wholeAnswer[:5]}, "broken stream", "[DONE]"},
		"no usage":  {&fake{events: append(wholeAnswer[:4:4], "[DONE]")}, "broken stream", "usage"},
		"no finish": {&fake{events: []string{wholeAnswer[1], usageEvent, "[DONE]"}}, "broken stream", "finish_reason"},
		"event":     {&fake{events: []string{wholeAnswer[1], `{"error":{"message":"the device"}}`}}, "broken stream", "the device"},
		"no JSON":   {&fake{events: []string{`{"choices`}}, "broken stream", "event"},
		"no retry":  {&fake{most: 1, fail: func(int) (int, string) { time.Sleep(time.Millisecond); return 0, "" }}, "status 429", "Retry-After"}, // so that others come meanwhile
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, r, table, errs := load(t, c.f, "--leave", "0")
			if status != failed || errs != "" || r.Errors[c.kind] == 0 || !strings.Contains(r.Example[c.kind], c.detail) || !strings.Contains(table, "FAULT: ") {
				t.Errorf("status %d, %s: %v %v\n%s", status, errs, r.Errors, r.Example, table)
			}
		})
	}
}

// Of too many requests at once some are refused and come again, and all are answered.
func TestOverload(t *testing.T) {
	t.Parallel()
	f := &fake{retry: "1", paused: make(chan struct{})}
	go func() { // so that answers take long enough for others to come meanwhile
		for {
			select {
			case f.paused <- struct{}{}:
				time.Sleep(50 * time.Microsecond)
			case <-t.Context().Done():
				return
			}
		}
	}()
	f.most = 6
	status, r, table, errs := load(t, f, "--leave", "0", "--overload", "24")
	if status != done || errs != "" || r.Overload == nil || r.Overload.Refused == 0 || r.Overload.First.N != 24 || !strings.Contains(table, "24 requests at once") {
		t.Errorf("status %d, %s: %+v\n%s", status, errs, r.Overload, table)
	}
	if status, r, _, _ := load(t, &fake{}, "--overload", "3"); status != failed || !strings.Contains(strings.Join(r.Faults, ""), "none of 3 requests") {
		t.Errorf("nobody is refused: status %d, %v", status, r.Faults)
	}
}

func TestUsage(t *testing.T) {
	for want, args := range map[string][]string{
		"--url": {}, "both": {"--url", "x", "--", "y"}, "--clients": {"--url", "x", "--clients", "0"}, "--tokens": {"--url", "x", "--tokens", "0"},
		"--overload": {"--url", "x", "--overload", "-1"}, "--duration": {"--url", "x", "--duration", "0s"}, "--end": {"--url", "x", "--end", "0s"},
		"--leave": {"--url", "x", "--leave", "NaN"}, "usage: load": {"--nothing"},
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), args, &out, &errs); status != usage || !strings.Contains(errs.String(), want) || out.Len() != 0 {
			t.Errorf("%q: status %d, %s", args, status, &errs)
		}
	}
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"--", filepath.Join(t.TempDir(), "missing")}, &out, &errs); status != failed || !strings.Contains(errs.String(), "missing") {
		t.Errorf("status %d, %s", status, &errs)
	}
	if status := run(t.Context(), []string{"--", "echo", `{"no":"server"}`}, &out, &errs); status != failed || !strings.Contains(errs.String(), "where it listens") {
		t.Errorf("status %d, %s", status, &errs)
	}
}

// The figures of times are those that their definitions give, computed in another way.
func TestTimes(t *testing.T) {
	var x times
	x.sum()
	if x.N != 0 || len(x.Bars) != 0 {
		t.Errorf("%+v", x)
	}
	for i := range 1000 {
		x.add(time.Duration((i*37)%1000+1) * time.Millisecond) // 1 to 1000 in some order
	}
	x.sum()
	if x.N != 1000 || x.P50 != 500 || x.P90 != 900 || x.P99 != 990 || x.Max != 1000 {
		t.Errorf("%+v", x)
	}
	total := 0
	for i, b := range x.Bars {
		below, n := math.Exp2(float64(i+1)), 0
		for ms := 1; ms <= 1000; ms++ {
			if float64(ms) < below && float64(ms) >= below/2 {
				n++
			}
		}
		if total += b.N; b.Below != below || b.N != n {
			t.Errorf("%+v, want %d below %v", b, n, below)
		}
	}
	if total != 1000 {
		t.Errorf("%d times are in the histogram", total)
	}
}

// Memory that grows all the time is a fault, and memory that has grown at first is none.
func TestGrowing(t *testing.T) {
	for name, c := range map[string]struct {
		at   func(i int) float64 // MiB
		want bool
	}{
		"flat": {func(i int) float64 { return 200 + float64(i%7) }, false}, "at first": {func(i int) float64 { return 200 + 100*min(float64(i)/20, 1) }, false},
		"all the time": {func(i int) float64 { return 200 + float64(i) }, true},
	} {
		r := newReport("", 1, time.Now())
		for i := range 120 {
			r.Samples = append(r.Samples, sample{Memory: c.at(i) * (1 << 20)})
		}
		if err := r.growing(); (err != nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
		r.Samples = r.Samples[:growthSamples-1]
		if err := r.growing(); err != nil {
			t.Errorf("%s, too short to tell: %v", name, err)
		}
	}
}
