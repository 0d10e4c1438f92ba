package bulk

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var urls = []string{"/v1/chat/completions", "/v1/embeddings"}

// echo answers with a digest of what it was asked. It fails where the custom_id says so, and ends in any order.
type echo struct {
	asked atomic.Int64
	atOne atomic.Int64
	most  atomic.Int64
	fail  error       // of everything from the item stopAt on
	stop  int64       // 0 for none
	wait  func(n int) // before an answer
}

func (e *echo) Do(ctx context.Context, r *Request) (Answer, error) {
	n := e.asked.Add(1)
	now := e.atOne.Add(1)
	defer e.atOne.Add(-1)
	for most := e.most.Load(); now > most && !e.most.CompareAndSwap(most, now); most = e.most.Load() {
	}
	if e.wait != nil {
		e.wait(int(n))
	}
	if e.stop > 0 && n > e.stop {
		return Answer{}, e.fail
	}
	if err := ctx.Err(); err != nil {
		return Answer{}, err
	}
	status := 200
	if strings.HasPrefix(r.ID, "bad") {
		status = 400
	}
	sum := sha256.Sum256(slices.Concat([]byte(r.URL), r.Body))
	return Answer{status, "req_1", fmt.Appendf(nil, `{"text":"%x <&>","user":%q}`+"\n", sum[:8], r.User), Tokens{3, 1, 2}}, nil
}

// file writes lines to a file.
func file(t testing.TB, dir string, lines ...string) string {
	t.Helper()
	path := filepath.Join(dir, "in.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// some returns so many items, with bad lines and ones that fail among them.
func some(n int) (lines []string) {
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for i := range n {
		switch rng.IntN(20) {
		case 0:
			lines = append(lines, fmt.Sprintf(`{"custom_id":"bad %d","method":"POST","url":%q,"body":{}}`, i, urls[0]))
		case 1:
			lines = append(lines, fmt.Sprintf(`{"custom_id":"%d","method":"GET","url":%q,"body":{}}`, i, urls[0]))
		case 2:
			lines = append(lines, "{]")
		case 3:
			lines = append(lines, "", fmt.Sprintf(`{"custom_id":"%d","method":"POST","url":%q,"body":{"input":["x","y"]}}`, i, urls[1]))
		default:
			lines = append(lines, fmt.Sprintf(`{"custom_id":"é %d","method":"POST","url":%q,"body":{"n":%d,"x":%q}}`, i, urls[0], 1+rng.IntN(3),
				strings.Repeat("y", rng.IntN(200))))
		}
	}
	return lines
}

func options(input string) Options {
	dir := filepath.Dir(input)
	return Options{Input: input, Output: filepath.Join(dir, "out.jsonl"), Errors: filepath.Join(dir, "errors.jsonl"),
		Dir: filepath.Join(dir, "job"), URLs: urls, User: "ann", MostLine: 1 << 16, Settings: "a model"}
}

// work opens a job, runs it and finishes it.
func work(ctx context.Context, o Options, w Worker, told func(Progress)) (c Counts, err error) {
	j, err := Open(ctx, o)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if err := j.Run(ctx, w, NewBudget(8, 1<<14), told); err != nil {
		return j.Counts(), err
	}
	err = j.Finish(ctx, nil)
	return j.Counts(), err
}

// outcome is a line of the results without what differs between two runs.
type outcome struct {
	CustomID *string `json:"custom_id"`
	Response *struct {
		Status int             `json:"status_code"`
		Body   json.RawMessage `json:"body"`
	} `json:"response"`
	Error json.RawMessage `json:"error"`
}

// results reads a file of results. Each line has an id of its own, and the members that OpenAI's have.
func results(t testing.TB, path string) (list []string) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	seen := map[string]bool{}
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if strings.Contains(in.Text(), "\\u") {
			t.Errorf("an answer was changed: %s", in.Text())
		}
		var members map[string]json.RawMessage
		var o outcome
		if err := errors.Join(json.Unmarshal(in.Bytes(), &members), json.Unmarshal(in.Bytes(), &o)); err != nil {
			t.Fatalf("%v: %s", err, in.Text())
		}
		id := string(members["id"])
		if !strings.HasPrefix(id, `"batch_req_`) || seen[id] || len(members) != 4 || (o.Response == nil) == (string(o.Error) == "null") {
			t.Errorf("%s", in.Text())
		}
		seen[id] = true
		text, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	return list
}

// A file is answered in its order, whatever is done first, and what fails stands in the other file. A second run finds that
// all is done.
func TestRun(t *testing.T) {
	for _, n := range []int{1, 2, 63, 64, 65, 700} {
		lines := some(n)
		if n < 3 {
			lines[0] = fmt.Sprintf(`{"custom_id":"0","method":"POST","url":%q,"body":{}}`, urls[0])
		}
		o := options(file(t, t.TempDir(), lines...))
		var mu sync.Mutex
		var last Progress
		w := &echo{}
		w.wait = func(n int) {
			if n%7 == 0 { // others come first
				for i := w.asked.Load(); w.asked.Load() < i+2 && w.atOne.Load() > 1; {
				}
			}
		}
		c, err := work(t.Context(), o, w, func(p Progress) {
			mu.Lock()
			defer mu.Unlock()
			last = p
		})
		if err != nil || c.Left() != 0 || c.Items != int64(n) {
			t.Fatalf("%d: %+v, %v", n, c, err)
		}
		good, bad := results(t, o.Output), results(t, o.Errors)
		if int64(len(good)) != c.Completed || int64(len(bad)) != c.Failed || last.Counts != c || last.Drawn != 2*w.asked.Load() {
			t.Errorf("%d: %d and %d results, %+v, %+v of %d", n, len(good), len(bad), c, last, w.asked.Load())
		}
		at, wrong := 0, 0
		number := int64(0)
		for i, line := range lines { // in their order, each once
			var in, out outcome
			if line == "" {
				continue
			}
			number++
			valid := json.Unmarshal([]byte(line), &in) == nil && !strings.Contains(line, "GET")
			list := &bad
			k := &wrong
			if valid && !strings.HasPrefix(*in.CustomID, "bad") {
				list, k = &good, &at
			}
			if err := json.Unmarshal([]byte((*list)[*k]), &out); err != nil {
				t.Fatal(err)
			}
			*k++
			switch {
			case in.CustomID != nil && (out.CustomID == nil || *out.CustomID != *in.CustomID), in.CustomID == nil && out.CustomID != nil:
				t.Errorf("line %d: %s has the result of %v", i+1, line, out.CustomID)
			case !valid && !strings.Contains(string(out.Error), fmt.Sprintf("line %d: ", i+1)):
				t.Errorf("line %d: %s", i+1, out.Error)
			case valid && (out.Response == nil || !bytes.Contains(out.Response.Body, []byte(`","user":"ann"`))):
				t.Errorf("line %d: %+v", i+1, out)
			}
		}
		again := &echo{}
		if c2, err := work(t.Context(), o, again, nil); err != nil || c2 != c || again.asked.Load() > 0 {
			t.Errorf("%d: again: %+v after %+v, %d asked (%v)", n, c2, c, again.asked.Load(), err)
		}
	}
}

// Wherever a job ends, by its worker or with its context, the next run goes on with what is left, and the results are those
// of a job that nothing disturbed.
func TestStops(t *testing.T) {
	lines := some(300)
	undisturbed := options(file(t, t.TempDir(), lines...))
	var once echo
	want, err := work(t.Context(), undisturbed, &once, nil)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	o := options(file(t, t.TempDir(), lines...))
	gone, asked := errors.New("the device is gone"), int64(0)
	stops := 0
	for c := (Counts{Items: 1}); c.Left() > 0; stops++ {
		ctx, cancel := context.WithCancel(t.Context())
		w, expect := &echo{fail: gone, stop: int64(20 + rng.IntN(60))}, gone
		if stops%2 == 1 {
			at := int(w.stop)
			w.stop, expect = 0, context.Canceled
			w.wait = func(n int) {
				if n == at {
					cancel()
				}
				if n >= at { // whatever runs first
					<-ctx.Done()
				}
			}
		}
		c, err = work(ctx, o, w, nil)
		cancel()
		if err != nil && !errors.Is(err, expect) || err == nil && c.Left() > 0 {
			t.Fatalf("run %d: want %v, got %+v, %v", stops, expect, c, err)
		}
		asked += w.asked.Load()
		if err != nil && c.Left() == 0 { // all had a result when the job was told to end
			c, err = work(t.Context(), o, &echo{}, nil)
		}
		if err == nil && c != want {
			t.Errorf("want %+v, got %+v", want, c)
		}
	}
	sameResults(t, undisturbed, o)
	if most := once.asked.Load() + int64(8*stops); stops < 4 || asked > most { // 8 at once
		t.Errorf("%d stops, %d asked, want at most %d", stops, asked, most)
	}
}

func sameResults(t *testing.T, a, b Options) {
	t.Helper()
	for _, pair := range [][2]string{{a.Output, b.Output}, {a.Errors, b.Errors}} {
		want, got := results(t, pair[0]), results(t, pair[1])
		if !slices.Equal(want, got) {
			t.Errorf("%s: %d results, want %d", pair[1], len(got), len(want))
			for i := range min(len(want), len(got)) {
				if want[i] != got[i] {
					t.Errorf("result %d: want %s, got %s", i, want[i], got[i])
					break
				}
			}
		}
	}
}

// Whatever becomes of the journal's bytes, cut off, changed or torn in the middle, no broken line is taken for a result:
// those items are done again.
func TestBrokenJournal(t *testing.T) {
	lines := some(120)
	undisturbed := options(file(t, t.TempDir(), lines...))
	if _, err := work(t.Context(), undisturbed, &echo{}, nil); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for range 40 {
		o := options(file(t, t.TempDir(), lines...))
		if _, err := work(t.Context(), o, &echo{fail: errors.New("enough"), stop: 60}, nil); err == nil {
			t.Fatal("want an error")
		}
		path := filepath.Join(o.Dir, journalName)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range 1 + rng.IntN(3) {
			switch at := rng.IntN(len(data)); rng.IntN(3) {
			case 0:
				data = data[:at+1]
			case 1:
				data[at] ^= byte(1 + rng.IntN(255))
			default:
				data = slices.Concat(data[:at], make([]byte, rng.IntN(99)), data[at:]) // as after a loss of power
			}
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := work(t.Context(), o, &echo{}, nil); err != nil {
			t.Fatal(err)
		}
		sameResults(t, undisturbed, o)
	}
}

// A job that ends early tells of each item that has no result why, in the order of the input.
func TestRest(t *testing.T) {
	lines := some(100)
	o := options(file(t, t.TempDir(), lines...))
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Run(t.Context(), &echo{fail: context.Canceled, stop: 30}, NewBudget(4, 1<<14), nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := j.Finish(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "have none") {
		t.Errorf("want an error without a reason, got %v", err)
	}
	if err := j.Finish(t.Context(), &Rest{"expired", "it was too late"}); err != nil {
		t.Fatal(err)
	}
	c := j.Counts()
	good, bad := results(t, o.Output), results(t, o.Errors)
	late := 0
	for _, line := range bad {
		if strings.Contains(line, `"code":"expired"`) {
			late++
		}
	}
	if int64(len(good)) != c.Completed || int64(len(bad)) != c.Failed || c.Left() != 0 || late < 50 || !j.Done() {
		t.Errorf("%+v: %d and %d results, %d of them late", c, len(good), len(bad), late)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// What failed is done again if that is asked for, and nothing else.
func TestAgain(t *testing.T) {
	o := options(file(t, t.TempDir(), some(200)...))
	first, err := work(t.Context(), o, &echo{}, nil)
	if err != nil || first.Failed < 10 {
		t.Fatalf("%+v, %v", first, err)
	}
	o.Again = true
	var w cured
	c, err := work(t.Context(), o, &w, nil)
	bad := 0
	for _, line := range some(200) {
		if strings.Contains(line, `"bad `) {
			bad++
		}
	}
	if err != nil || w.asked != bad || c.Failed != first.Failed-int64(bad) || c.Left() != 0 || int64(len(results(t, o.Output))) != c.Completed ||
		int64(len(results(t, o.Errors))) != c.Failed {
		t.Errorf("%+v after %+v: %d were done again, want %d (%v)", c, first, w.asked, bad, err)
	}
}

// cured answers everything.
type cured struct {
	mu    sync.Mutex
	asked int
}

func (c *cured) Do(context.Context, *Request) (Answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	return Answer{Status: 200, ID: "req_2", Body: []byte("{}")}, nil
}
