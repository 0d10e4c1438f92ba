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

// Files and batches are there after a restart, and a batch goes on: each request has one answer in the end. What a killed
// process left half done is gone.
func TestBatchRestart(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	var all struct{ n atomic.Int64 }
	start := func(settings string, most int64) (*batches.Service, http.Handler, func()) {
		var here atomic.Int64
		w := worker(func(ctx context.Context, r *bulk.Request) (bulk.Answer, error) {
			if most > 0 && here.Add(1) > most {
				<-ctx.Done()
				return bulk.Answer{}, ctx.Err()
			}
			all.n.Add(1)
			return bulk.Answer{Status: 200, ID: "req_1", Body: []byte(`{"id":"` + r.ID + `"}`)}, nil
		})
		b, err := batches.Open(batches.Options{Dir: dir, Uploads: uploads.Options{Bytes: 1 << 20}, Worker: w, URLs: direct.URLs(), Line: 1 << 14, Settings: settings,
			Budget: bulk.NewBudget(8, 1<<14), Log: log, Fail: openai.Fail}, func(path string, err error) { t.Errorf("%s: %v", path, err) })
		if err != nil {
			t.Fatal(err)
		}
		srv, err := server.New(server.Options{Routes: b.Routes(), Fail: openai.Fail, Keys: new(keys.Ring), MaxBody: 1 << 16, Log: log, Metrics: server.NewMetrics(), Local: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		b.Start(ctx)
		return b, srv, func() {
			stop()
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	do := func(h http.Handler, method, path, body, kind string) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", kind)
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w.Body.String()
	}
	_, h, stop := start("a model", 10)
	if _, err := batches.Open(batches.Options{Dir: dir, Fail: openai.Fail}, nil); err == nil || !strings.Contains(err.Error(), "another process has this folder") {
		t.Errorf("a folder of two: %v", err)
	}
	body, kind := form(t, "batch", "in", requests(50))
	id := idOf(t, do(h, "POST", "/v1/files", body, kind))
	ask := fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, id)
	first, second := idOf(t, do(h, "POST", "/v1/batches", ask, "")), idOf(t, do(h, "POST", "/v1/batches", ask, ""))
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
	_, h, stop = start("a model", 0)
	outs := map[string]bool{}
	for _, id := range []string{first, second} {
		text := ""
		for !strings.Contains(text, `"status":"completed"`) {
			text = do(h, "GET", "/v1/batches/"+id, "", "")
			time.Sleep(time.Millisecond)
		}
		var b batches.Batch
		if err := json.Unmarshal([]byte(text), &b); err != nil || b.Counts.Completed != 50 || b.Output == nil || b.Failures != nil {
			t.Fatalf("%s, %v", text, err)
		}
		outs[*b.Output] = true
		out := strings.Split(strings.TrimSpace(do(h, "GET", "/v1/files/"+*b.Output+"/content", "", "")), "\n")
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
	_, h, stop = start("a model", 3)
	third := idOf(t, do(h, "POST", "/v1/batches", ask, ""))
	for all.n.Load() < 103 {
		time.Sleep(time.Millisecond)
	}
	stop()
	_, h, stop = start("another model", 0)
	defer stop()
	text := ""
	for !strings.Contains(text, `"status":"failed"`) {
		text = do(h, "GET", "/v1/batches/"+third, "", "")
		time.Sleep(time.Millisecond)
	}
	if !strings.Contains(text, `"request_counts":{"total":50,"completed":3,"failed":47}`) || !strings.Contains(text, "model_changed") {
		t.Errorf("%s", text)
	}
	list := do(h, "GET", "/v1/files?order=asc", "", "")
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
