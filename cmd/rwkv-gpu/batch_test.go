package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// batchFile writes a file of requests of all kinds to a folder of its own.
func batchFile(t *testing.T, n int) string {
	t.Helper()
	var lines []string
	for i := range n {
		url, body := "/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":"Tell me of fox %d."}],"max_tokens":%d,"n":%d}`, i, 4+i%9, 1+i%2)
		switch i % 5 {
		case 1:
			url, body = "/v1/completions", fmt.Sprintf(`{"model":"any","prompt":["Once upon a time, %d","One day"],"max_tokens":6}`, i)
		case 2:
			url, body = "/v1/embeddings", fmt.Sprintf(`{"input":["a fox %d","a crow"],"dimensions":8}`, i)
		case 3:
			url, body = "/v1/completions", fmt.Sprintf(`{"prompt":"Once upon a time, %d","max_tokens":0,"echo":true,"logprobs":1}`, i)
		case 4:
			url, body = "/v1/responses", fmt.Sprintf(`{"input":"Tell me of a crow %d.","max_output_tokens":7}`, i)
		}
		lines = append(lines, fmt.Sprintf(`{"custom_id":"i%d","method":"POST","url":%q,"body":%s}`, i, url, body))
	}
	path := filepath.Join(t.TempDir(), "in.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ends returns a path's name with another ending.
func ends(path, ending string) string { return strings.TrimSuffix(path, ".jsonl") + ending }

// told reads a file of results without what is new in each run: ids and times. fresh wants each id once.
func told(t *testing.T, path string, fresh map[string]bool) (list []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewScanner(f)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var r struct {
			ID       string         `json:"id"`
			CustomID string         `json:"custom_id"`
			Response map[string]any `json:"response"`
			Error    map[string]any `json:"error"`
		}
		if err := json.Unmarshal(in.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if fresh[r.CustomID] || r.ID == "" {
			t.Errorf("%s is there twice", r.CustomID)
		}
		fresh[r.CustomID] = true
		if body, ok := r.Response["body"].(map[string]any); ok {
			for _, name := range []string{"id", "created", "created_at", "completed_at"} {
				delete(body, name)
			}
			if list, ok := body["output"].([]any); ok {
				for _, x := range list {
					delete(x.(map[string]any), "id")
				}
			}
			if u, ok := body["usage"].(map[string]any); ok { // what was cached depends on who came first
				delete(u, "prompt_tokens_details")
				delete(u, "input_tokens_details")
			}
		}
		text, err := json.Marshal([]any{r.CustomID, r.Response["status_code"], r.Response["body"], r.Error})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	return list
}

// A file of requests of all kinds is answered in its order, and a second run has nothing to do.
func TestBatch(t *testing.T) {
	in := batchFile(t, 25)
	var first, second batched
	cliJSON(t, &first, "batch", in, "--device", "cpu")
	list := told(t, ends(in, ".results.jsonl"), map[string]bool{})
	for i, line := range list {
		if !strings.HasPrefix(line, fmt.Sprintf(`["i%d",200,{`, i)) {
			t.Errorf("result %d: %s", i, line)
		}
	}
	if first.Completed != 25 || len(list) != 25 || first.Failed+first.Resumed+first.Bad != 0 || first.Prompt < 25 || first.Drawn < 25 ||
		first.Device == "" || first.Errors != "" {
		t.Errorf("%+v, %d results", first, len(list))
	}
	cliJSON(t, &second, "batch", in, "--device", "cpu")
	if second.Resumed != 25 || second.Prompt+second.Drawn > 0 || second.Counts != first.Counts {
		t.Errorf("again: %+v", second)
	}
	wantError(t, cli("batch", in, "--device", "cpu", "--quiet", "--max-tokens", "5"), statusInput, "begun with other settings", "--max-tokens 5", "--restart begins anew")
	cliJSON(t, &second, "batch", in, "--device", "cpu", "--restart")
	if again := told(t, ends(in, ".results.jsonl"), map[string]bool{}); second.Resumed != 0 || len(again) != 25 {
		t.Errorf("begun anew: %+v, %d results", second, len(again))
	}
}

// What fails stands in the other file, the exit status says so, and --retry does it again.
func TestBatchFailures(t *testing.T) {
	dir := t.TempDir()
	in, out, bad := filepath.Join(dir, "in"), filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "out.errors.jsonl")
	text := `{"custom_id":"a","method":"POST","url":"/v1/completions","body":{"prompt":"Once","max_tokens":2}}
{"custom_id":"b","method":"POST","url":"/v1/completions","body":{"prompt":"Once","temperature":-1}}
{"custom_id":"c","method":"POST","url":"/v1/images","body":{}}
{"custom_id":`
	if err := os.WriteFile(in, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := cli("batch", in, "-o", out, "--device", "cpu", "--quiet", "--json", "--retry")
		wantError(t, answer{status: r.status, stderr: r.stderr}, statusFailed, bad+": 3 of 4 items failed")
		var all batched
		decode(t, r.stdout, &all)
		if all.Completed != 1 || all.Failed != 3 || all.Bad != 2 || all.Errors != bad {
			t.Errorf("%+v", all)
		}
		fresh := map[string]bool{}
		if good, list := told(t, out, fresh), told(t, bad, fresh); len(good) != 1 || len(list) != 3 ||
			!strings.Contains(list[0], `400,{"error":{"code":"invalid_value","message":"temperature: want a number from 0 to 100, got the number -1"`) ||
			!strings.Contains(list[1], `line 3: url: want /v1/chat/completions or`) || !strings.Contains(list[2], "line 4: the line is no JSON") {
			t.Errorf("%q, %q", good, list)
		}
	}
	twice := `{"custom_id":"a","method":"POST","url":"/v1/completions","body":{}}` + "\n"
	if err := os.WriteFile(in, []byte(twice+twice), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, cli("batch", in, "-o", out, "--quiet"), statusInput, "the input has changed since the job began", "--restart begins anew")
	wantError(t, cli("batch", in, "--quiet"), statusInput, in+": line 2: custom_id: want one of its own, got that of line 1")
	wantError(t, cli("batch", filepath.Join(dir, "none"), "--quiet"), statusInput, "none: stat: no such file")
	wantError(t, cli("batch", dir, "--quiet"), statusInput, "want a file")
	wantError(t, cli("batch", "--quiet"), statusUsage, "want one file of requests, got 0")
	wantError(t, cli("batch", "-", "--quiet"), statusUsage, "want a file, since it is read twice")
	wantError(t, cli("batch", in, "-o", in, "--quiet"), statusUsage, "--output: want a file of its own")
	wantError(t, cli("batch", in, "--retry", "--restart", "--quiet"), statusUsage, "want none beside --restart")
	wantError(t, cli("batch", in, "--max-sequences", "0", "--quiet"), statusUsage, "--max-sequences: want 1 or more, got 0")
	wantError(t, cli("batch", in, "-o", filepath.Join(dir, "no", "out"), "--quiet"), statusUsage, "--output: want a file in a folder that is there", "no")
	wantError(t, cli("batch", in, "--errors", filepath.Join(in, "bad"), "--quiet"), statusUsage, "--errors: want a file in a folder that is there")
	wantError(t, cli("batch", in, "-o", dir, "--quiet"), statusUsage, "--output: want a file, got another kind of thing")
	if left, err := filepath.Glob(filepath.Join(dir, "*.job")); err != nil || len(left) != 1 {
		t.Errorf("want the folder of the one job that began, got %v (%v)", left, err)
	}
	// A folder that a killed process left without a job is none, so results that are there stay.
	if err := os.MkdirAll(ends(in+".jsonl", ".results.jsonl.job"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ends(in+".jsonl", ".results.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, cli("batch", in, "--quiet"), statusUsage, "want a file that is not there", "--restart replaces it")
}

// A batch that is killed, or interrupted, wherever it is, ends with each result once, in its order, and with the same
// texts as one that nothing disturbed: what draws by chance has seeds of its own. RWKV_BULK_ITEMS=10000 RWKV_BULK_KILLS=20
// has more of both.
func TestBatchKilled(t *testing.T) {
	items, kills := fromEnv("RWKV_BULK_ITEMS", 60), fromEnv("RWKV_BULK_KILLS", 6)
	whole, in := batchFile(t, items), batchFile(t, items)
	args := []string{"--device", "cpu", "--exact", "--max-sequences", "4"}
	var all batched
	cliJSON(t, &all, append([]string{"batch", whole}, args...)...)
	undisturbed := all.Seconds
	want := told(t, ends(whole, ".results.jsonl"), map[string]bool{})
	length := bytesOf(ends(whole, ".results.jsonl"))
	journal := ends(in, ".results.jsonl.job/journal")
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 2))
	var resumes []time.Duration
	for round := range kills {
		least := bytesOf(journal)
		how := os.Kill
		if round%3 == 2 {
			how = os.Interrupt
		}
		resumes = append(resumes, endsAt(t, how, journal, least+1+rng.Int64N(2*length/int64(kills+1)), append([]string{"batch", in}, args...)...))
	}
	cliJSON(t, &all, append([]string{"batch", in}, args...)...)
	if got := told(t, ends(in, ".results.jsonl"), map[string]bool{}); !slices.Equal(got, want) {
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Errorf("result %d: want %s, got %s", i, want[i], got[i])
			}
		}
		t.Errorf("%d results, want %d", len(got), len(want))
	}
	if all.Completed != int64(items) || all.Resumed == 0 {
		t.Errorf("%+v", all)
	}
	slices.Sort(resumes)
	t.Logf("%d items, %.1f s undisturbed; %d ends: the first result of a run after %v in the middle, %v at most; the last run began with %d items",
		items, undisturbed, kills, resumes[len(resumes)/2], resumes[len(resumes)-1], all.Resumed)
}

// fromEnv returns a number from the environment, for those who have more time.
func fromEnv(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// bytesOf returns the length of a file, 0 if there is none.
func bytesOf(path string) int64 {
	if info, err := os.Stat(path); err == nil {
		return info.Size()
	}
	return 0
}

// endsAt begins a batch in a process of its own, and ends that once the journal has so many bytes, if it is still there. It
// returns how long the process took to its first result.
func endsAt(t *testing.T, how os.Signal, journal string, least int64, args ...string) (first time.Duration) {
	t.Helper()
	c := child(args...)
	var log bytes.Buffer
	c.Stderr = &log
	before, begin := bytesOf(journal), time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait() // the status says it
		close(ended)
	}()
	for running := true; running; {
		select {
		case <-ended:
			running = false
		case <-time.After(2 * time.Millisecond):
		}
		now := bytesOf(journal)
		if first == 0 && (now > before || !running) {
			first = time.Since(begin)
		}
		if now >= least {
			break
		}
	}
	_ = c.Process.Signal(how) // it may have ended
	<-ended
	switch s := c.ProcessState.ExitCode(); {
	case how != os.Interrupt, s == statusDone:
	case s != statusInterrupted, !strings.Contains(log.String(), "the same command goes on with the rest"):
		t.Errorf("interrupted: status %d, %s", s, log.String())
	}
	return first
}

// An interrupted batch in this process says how it goes on.
func TestBatchInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := cliWith(ctx, "", nil, "batch", batchFile(t, 3), "--device", "cpu", "--quiet")
	wantError(t, r, statusInterrupted, "interrupted")
}
