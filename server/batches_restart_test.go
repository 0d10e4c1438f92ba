package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/bulk"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
	"github.com/rwkv-gpu/rwkv-gpu/server/direct"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/uploads"
)

// shop serves files and batches of a folder, by a worker that answers with the custom_id.
type shop struct {
	t      *testing.T
	dir    string
	n      atomic.Int64 // requests that were answered
	broken atomic.Int64 // things in the folder that were left alone
}

// open opens the folder, until close. Behind so many answers requests hang, unless most is 0.
func (s *shop) open(settings string, most int64) (h http.Handler, close func()) {
	s.t.Helper()
	h, start, close := s.load(settings, most)
	start()
	return h, close
}

// load opens the folder, without work until start.
func (s *shop) load(settings string, most int64) (h http.Handler, start, close func()) {
	s.t.Helper()
	var here atomic.Int64
	w := worker(func(ctx context.Context, r *bulk.Request) (bulk.Answer, error) {
		if most > 0 && here.Add(1) > most {
			<-ctx.Done()
			return bulk.Answer{}, ctx.Err()
		}
		s.n.Add(1)
		return bulk.Answer{Status: 200, ID: "req_1", Body: []byte(`{"id":"` + r.ID + `"}`)}, nil
	})
	log := slog.New(slog.DiscardHandler)
	b, err := batches.Open(batches.Options{Dir: s.dir, Uploads: uploads.Options{Bytes: 1 << 20}, Worker: w, URLs: direct.URLs(), Line: 1 << 14, Settings: settings,
		Budget: bulk.NewBudget(8, 1<<14), Log: log, Fail: openai.Fail}, func(string, error) { s.broken.Add(1) })
	if err != nil {
		s.t.Fatal(err)
	}
	srv, err := server.New(server.Options{Routes: b.Routes(), Fail: openai.Fail, Keys: new(keys.Ring), MaxBody: 1 << 16, Log: log, Metrics: server.NewMetrics(), Local: true})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	return srv, func() { b.Start(ctx) }, func() {
		stop()
		if err := b.Close(); err != nil {
			s.t.Error(err)
		}
	}
}

// do sends a request that is answered well.
func (s *shop) do(h http.Handler, method, path, body, kind string) string {
	s.t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		s.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return w.Body.String()
}

// A process that is killed between the writing of results and their keeping loses none of them, and asks nothing again.
func TestBatchKeptLate(t *testing.T) {
	s := &shop{t: t, dir: t.TempDir()}
	h, stop := s.open("a model", 1)
	body, kind := form(t, "batch", "in", requests(5))
	ask := fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, idOf(t, s.do(h, "POST", "/v1/files", body, kind)))
	id := idOf(t, s.do(h, "POST", "/v1/batches", ask, ""))
	data, err := os.ReadFile(filepath.Join(s.dir, "batches", id, "batch.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ Out string }
	if err := json.Unmarshal(data, &record); err != nil || record.Out == "" {
		t.Fatalf("%s, %v", data, err)
	}
	stop()
	head := filepath.Join(s.dir, "files", record.Out+".json")
	if err := os.Mkdir(head, 0o700); err != nil { // so the file of results cannot be kept
		t.Fatal(err)
	}
	h, stop = s.open("a model", 0)
	for written := false; !written; time.Sleep(time.Millisecond) {
		_, err := os.Stat(filepath.Join(s.dir, "files", record.Out+".data"))
		written = err == nil
	}
	if text := s.do(h, "GET", "/v1/batches/"+id, "", ""); !strings.Contains(text, `"output_file_id":null`) {
		t.Errorf("%s", text)
	}
	stop()
	if err := os.Remove(head); err != nil || s.broken.Load() == 0 {
		t.Errorf("%d broken files were told of, %v", s.broken.Load(), err)
	}
	answered := s.n.Load()
	h, stop = s.open("a model", 0)
	defer stop()
	for text := ""; !strings.Contains(text, `"status":"completed"`); time.Sleep(time.Millisecond) {
		text = s.do(h, "GET", "/v1/batches/"+id, "", "")
	}
	if text := s.do(h, "GET", "/v1/files/"+record.Out+"/content", "", ""); strings.Count(text, "\n") != 5 || s.n.Load() != answered || answered != 5 {
		t.Errorf("%s; %d requests were answered, then %d", text, answered, s.n.Load())
	}
}

// Counts never go back, wherever a server ends: what a client was told, the next server tells too, before it has read any
// result, and while the batch waits for its turn.
func TestBatchCounts(t *testing.T) {
	s := &shop{t: t, dir: t.TempDir()}
	h, stop := s.open("a model", 30)
	body, kind := form(t, "batch", "in", requests(50))
	ask := fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, idOf(t, s.do(h, "POST", "/v1/files", body, kind)))
	id := idOf(t, s.do(h, "POST", "/v1/batches", ask, ""))
	counts := func(h http.Handler) batches.Counts {
		var b batches.Batch
		if err := json.Unmarshal([]byte(s.do(h, "GET", "/v1/batches/"+id, "", "")), &b); err != nil {
			t.Fatal(err)
		}
		return b.Counts
	}
	for last := (batches.Counts{}); last.Completed < 30; {
		now := counts(h)
		if now.Completed < last.Completed || now.Total < last.Total {
			t.Fatalf("%+v after %+v", now, last)
		}
		last = now
	}
	killed := &shop{t: t, dir: t.TempDir()} // what the disk has if the server is killed now
	if err := os.CopyFS(killed.dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	stop()
	for _, image := range []*shop{killed, s} {
		h, start, stop := image.load("a model", 0)
		if now := counts(h); now != (batches.Counts{Total: 50, Completed: 30}) {
			t.Errorf("want the counts that were told, got %+v", now)
		}
		start()
		for now, last := counts(h), int64(30); now.Completed < 50; now = counts(h) {
			if now.Completed < last {
				t.Fatalf("%+v after %d", now, last)
			}
			last = now.Completed
		}
		stop()
		if n := image.n.Load(); image == killed && n != 20 || image == s && n != 50 {
			t.Errorf("%d requests were answered", n)
		}
	}
}

// Files and batches are there after a restart, and a batch goes on: each request has one answer in the end. What a killed
// process left half done is gone.
func TestBatchRestart(t *testing.T) {
	dir := t.TempDir()
	all := &shop{t: t, dir: dir}
	h, stop := all.open("a model", 10)
	if _, err := batches.Open(batches.Options{Dir: dir, Fail: openai.Fail}, nil); err == nil || !strings.Contains(err.Error(), "another process has this folder") {
		t.Errorf("a folder of two: %v", err)
	}
	body, kind := form(t, "batch", "in", requests(50))
	id := idOf(t, all.do(h, "POST", "/v1/files", body, kind))
	ask := fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, id)
	first, second := idOf(t, all.do(h, "POST", "/v1/batches", ask, "")), idOf(t, all.do(h, "POST", "/v1/batches", ask, ""))
	for all.n.Load() < 10 {
		time.Sleep(time.Millisecond)
	}
	stop()
	for _, name := range []string{"files/file-torn.data", "batches/batch_torn/job/journal"} { // of a process that was killed
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	h, stop = all.open("a model", 0)
	outs := map[string]bool{}
	for _, id := range []string{first, second} {
		text := ""
		for !strings.Contains(text, `"status":"completed"`) {
			text = all.do(h, "GET", "/v1/batches/"+id, "", "")
			time.Sleep(time.Millisecond)
		}
		var b batches.Batch
		if err := json.Unmarshal([]byte(text), &b); err != nil || b.Counts.Completed != 50 || b.Output == nil || b.Failures != nil {
			t.Fatalf("%s, %v", text, err)
		}
		outs[*b.Output] = true
		out := strings.Split(strings.TrimSpace(all.do(h, "GET", "/v1/files/"+*b.Output+"/content", "", "")), "\n")
		for i, line := range out {
			if !strings.Contains(line, fmt.Sprintf(`"body":{"id":"i%d"}`, i)) {
				t.Errorf("line %d: %s", i, line)
			}
		}
		if len(out) != 50 {
			t.Errorf("%d lines", len(out))
		}
	}
	if n := all.n.Load(); n != 100 {
		t.Errorf("%d requests were answered of 100", n)
	}
	stop()
	if left, err := filepath.Glob(filepath.Join(dir, "*", "*torn*")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	// Begun with another model, a batch ends with what there is.
	h, stop = all.open("a model", 3)
	third := idOf(t, all.do(h, "POST", "/v1/batches", ask, ""))
	for all.n.Load() < 103 {
		time.Sleep(time.Millisecond)
	}
	stop()
	h, stop = all.open("another model", 0)
	defer stop()
	text := ""
	for !strings.Contains(text, `"status":"failed"`) {
		text = all.do(h, "GET", "/v1/batches/"+third, "", "")
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(text, `"request_counts":{"total":50,"completed":3,"failed":47}`) || !strings.Contains(text, "model_changed") {
		t.Errorf("%s", text)
	}
	if n := all.broken.Load(); n > 0 {
		t.Errorf("%d things in the folder were left alone", n)
	}
	list := all.do(h, "GET", "/v1/files?order=asc", "", "")
	if n := strings.Count(list, `"object":"file"`); n != 5 {
		t.Errorf("want 5 files, got %s", list)
	}
}

// worker answers by a function.
type worker func(ctx context.Context, r *bulk.Request) (bulk.Answer, error)

func (w worker) Do(ctx context.Context, r *bulk.Request) (bulk.Answer, error) { return w(ctx, r) }

// idOf returns the id of an object.
func idOf(t *testing.T, text string) string {
	t.Helper()
	var o struct{ ID string }
	if err := json.Unmarshal([]byte(text), &o); err != nil || o.ID == "" {
		t.Fatalf("%s, %v", text, err)
	}
	return o.ID
}
