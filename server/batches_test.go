package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	client "github.com/openai/openai-go/v3"

	"github.com/rwkv-gpu/rwkv-gpu/bulk"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/direct"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/uploads"
)

// batching returns the service of a folder of its own.
func batching(t *testing.T, o *server.Options, routes []api.Route) *batches.Service {
	t.Helper()
	return batchingIn(t, t.TempDir(), o, routes, func(*batches.Options) {})
}

func batchingIn(t *testing.T, dir string, o *server.Options, routes []api.Route, change func(*batches.Options)) *batches.Service {
	t.Helper()
	w, err := direct.New(routes, direct.Options{Done: o.Metrics.Answered})
	if err != nil {
		t.Fatal(err)
	}
	b := batches.Options{Dir: dir, Uploads: uploads.Options{Bytes: 1 << 17, Most: 1 << 16}, Worker: w, URLs: direct.URLs(), Line: 1 << 14,
		Settings: "a model", Budget: bulk.NewBudget(8, 1<<14), Log: o.Log, Fail: openai.Fail}
	change(&b)
	s, err := batches.Open(b, func(path string, err error) { t.Errorf("%s: %v", path, err) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// requests returns a file of so many chats.
func requests(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"custom_id":"i%d","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"a %d"}]}}`+"\n", i, i)
	}
	return b.String()
}

// uploaded uploads a file by the official client.
func uploaded(t *testing.T, c client.Client, text string) string {
	t.Helper()
	f, err := c.Files.New(t.Context(), client.FileNewParams{File: client.File(strings.NewReader(text), "in.jsonl", "application/jsonl"), Purpose: client.FilePurposeBatch})
	if err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// batched makes a batch of chats.
func batched(t *testing.T, c client.Client, file string, window client.BatchNewParamsCompletionWindow) *client.Batch {
	t.Helper()
	b, err := c.Batches.New(t.Context(), client.BatchNewParams{InputFileID: file, Endpoint: client.BatchNewParamsEndpointV1ChatCompletions,
		CompletionWindow: window, Metadata: map[string]string{"a": "b"}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// over waits until a batch is over.
func over(t *testing.T, c client.Client, id string) *client.Batch {
	t.Helper()
	for {
		b, err := c.Batches.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		switch b.Status {
		case client.BatchStatusCompleted, client.BatchStatusFailed, client.BatchStatusExpired, client.BatchStatusCancelled:
			return b
		}
		time.Sleep(time.Millisecond)
	}
}

// lines returns the lines of a file.
func lines(t *testing.T, c client.Client, id string) []string {
	t.Helper()
	r, err := c.Files.Content(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || len(text) == 0 || !bytes.HasSuffix(text, []byte("\n")) {
		t.Fatalf("%q, %v", text, err)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// A file of requests is uploaded, answered and fetched by OpenAI's own client.
func TestBatchByClient(t *testing.T) {
	s := serve(t, nil)
	c := s.official()
	text := requests(30) + "\n" + `{"custom_id":"other","method":"POST","url":"/v1/embeddings","body":{}}` + "\n" +
		`{"custom_id":"wrong","method":"POST","url":"/v1/chat/completions","body":{"messages":[],"temperature":-1}}`
	id := uploaded(t, c, text)
	if f, err := c.Files.Get(t.Context(), id); err != nil || f.Filename != "in.jsonl" || f.Bytes != int64(len(text)) || f.Purpose != "batch" || f.CreatedAt == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	b := batched(t, c, id, "24h")
	if b.Object != "batch" || b.InputFileID != id || b.Metadata["a"] != "b" || b.ExpiresAt-b.CreatedAt != 24*3600 {
		t.Errorf("%+v", b)
	}
	b = over(t, c, b.ID)
	if b.Status != "completed" || b.RequestCounts.Total != 32 || b.RequestCounts.Completed != 30 || b.RequestCounts.Failed != 2 ||
		b.InProgressAt == 0 || b.FinalizingAt == 0 || b.CompletedAt == 0 || b.CancelledAt+b.ExpiredAt+b.FailedAt != 0 {
		t.Errorf("%s", b.RawJSON())
	}
	for i, line := range lines(t, c, b.OutputFileID) {
		var r struct {
			CustomID string `json:"custom_id"`
			Response struct {
				Status int                   `json:"status_code"`
				Body   client.ChatCompletion `json:"body"`
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.CustomID != fmt.Sprintf("i%d", i) || r.Response.Status != 200 ||
			r.Response.Body.Choices[0].Message.Content != "there was a fox. The end" {
			t.Errorf("%s, %v", line, err)
		}
	}
	if list := lines(t, c, b.ErrorFileID); len(list) != 2 || !strings.Contains(list[0], "line 32: url: want /v1/chat/completions") || !strings.Contains(list[1], `"status_code":400`) {
		t.Errorf("%q", list)
	}
	for range 24 {
		over(t, c, batched(t, c, id, "1h").ID)
	}
	seen := 0
	pages := c.Batches.ListAutoPaging(t.Context(), client.BatchListParams{Limit: client.Int(7)})
	var last int64 = 1 << 60
	for pages.Next() {
		if seen++; pages.Current().CreatedAt > last {
			t.Error("want the newest first")
		}
		last = pages.Current().CreatedAt
	}
	if seen != 25 || pages.Err() != nil {
		t.Errorf("%d batches, %v", seen, pages.Err())
	}
	files := 0
	for list := c.Files.ListAutoPaging(t.Context(), client.FileListParams{Limit: client.Int(10), Purpose: client.String("batch_output")}); list.Next(); files++ {
		if f := list.Current(); !strings.HasPrefix(f.Filename, "batch_") {
			t.Errorf("%+v", f)
		}
	}
	if files != 50 {
		t.Errorf("%d files of results", files)
	}
	if d, err := c.Files.Delete(t.Context(), id); err != nil || !d.Deleted {
		t.Errorf("%+v, %v", d, err)
	}
	if _, err := c.Files.Get(t.Context(), id); err == nil {
		t.Error("want the file gone")
	}
	seeds := map[uint64]bool{}
	for _, r := range s.model.Asked()[:30] {
		seeds[r.Params.Seed] = true
	}
	if len(seeds) != 30 {
		t.Errorf("30 requests without a seed have %d seeds", len(seeds))
	}
}

// A file with no request, or with two of one custom_id, fails as a whole, and says where.
func TestBatchFails(t *testing.T) {
	c := serve(t, nil).official()
	for text, want := range map[string]client.BatchError{
		"[1]":                     {Code: "invalid_type", Message: "line 1: the line: want an object, got a list", Line: 1},
		"\n":                      {Code: "empty_file", Message: "line 1: want a request, got an empty file", Line: 1},
		requests(3) + requests(1): {Code: "duplicate_custom_id", Message: "line 4: custom_id: want one of its own, got that of line 1", Line: 4, Param: "custom_id"},
		`{"custom_id":"a"}`:       {Code: "missing_required_parameter", Message: "line 1: method: missing, want POST", Line: 1, Param: "method"},
	} {
		b := over(t, c, batched(t, c, uploaded(t, c, text), "24h").ID)
		if len(b.Errors.Data) == 0 || b.Status != "failed" || b.OutputFileID+b.ErrorFileID != "" || b.FailedAt == 0 {
			t.Errorf("%q: %s", text, b.RawJSON())
			continue
		}
		if got := b.Errors.Data[0]; got.Code != want.Code || got.Message != want.Message || got.Line != want.Line || got.Param != want.Param {
			t.Errorf("%q: %s", text, got.RawJSON())
		}
	}
}

// hanging serves a model that tells so many pieces of answers, and then none until their contexts are done. An answer has
// at most 8 pieces, and 8 are drawn at once.
func hanging(t *testing.T, pieces int64) *served {
	var n atomic.Int64
	return serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Pause = func(ctx context.Context) error {
			if n.Add(1) <= pieces {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}
	})
}

// A batch that is cancelled, or whose time is over, ends with what has been answered. The rest says why it was not.
func TestBatchEndsEarly(t *testing.T) {
	for code, window := range map[string]client.BatchNewParamsCompletionWindow{"batch_cancelled": "24h", "batch_expired": "1s"} {
		s := hanging(t, 8*8) // so one answer at least is whole
		c := s.official()
		file := uploaded(t, c, requests(40))
		b := batched(t, c, file, window)
		if code == "batch_cancelled" {
			for b.RequestCounts.Completed == 0 {
				var err error
				if b, err = c.Batches.Get(t.Context(), b.ID); err != nil {
					t.Fatal(err)
				}
			}
			var e *client.Error
			if _, err := c.Files.Delete(t.Context(), file); !errors.As(err, &e) || e.StatusCode != http.StatusConflict {
				t.Errorf("a file in use: %v", err)
			}
			if b, err := c.Batches.Cancel(t.Context(), b.ID); err != nil || b.CancellingAt == 0 {
				t.Errorf("%+v, %v", b, err)
			}
		}
		b = over(t, c, b.ID)
		if n := b.RequestCounts; "batch_"+string(b.Status) != code || n.Completed > 10 || n.Total != 40 || n.Failed != 40-n.Completed {
			t.Errorf("%s", b.RawJSON())
		}
		var good []string
		if code == "batch_cancelled" || b.OutputFileID != "" { // a slow machine has none within a second
			good = lines(t, c, b.OutputFileID)
		}
		bad := lines(t, c, b.ErrorFileID)
		if int64(len(good)) != b.RequestCounts.Completed || len(good)+len(bad) != 40 || !strings.Contains(bad[0], `"code":"`+code+`"`) {
			t.Errorf("%s: %d and %d lines, %s", code, len(good), len(bad), bad[0])
		}
		var e *client.Error
		if _, err := c.Batches.Cancel(t.Context(), b.ID); !errors.As(err, &e) || e.StatusCode != http.StatusConflict {
			t.Errorf("a batch that is over: %v", err)
		}
		if d, err := c.Files.Delete(t.Context(), file); err != nil || !d.Deleted {
			t.Errorf("a file that is free again: %v", err)
		}
	}
}

// Nobody sees or touches files and batches of another key.
func TestBatchKeys(t *testing.T) {
	s := serve(t, func(o *server.Options, _ *scripted.Model, _ *chat.Options) {
		if err := o.Keys.Read(strings.NewReader("ann one\nbob two\n")); err != nil {
			t.Fatal(err)
		}
	})
	body, kind := form(t, "batch", "in.jsonl", requests(2))
	_, _, text := s.call(t, "POST", "/v1/files", body, "X-Api-Key", "one", "Content-Type", kind)
	var file, b struct{ ID string }
	if err := json.Unmarshal([]byte(text), &file); err != nil || file.ID == "" {
		t.Fatalf("%s, %v", text, err)
	}
	ask := fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, file.ID)
	if status, _, text := s.call(t, "POST", "/v1/batches", ask, "X-Api-Key", "two"); status != http.StatusNotFound {
		t.Errorf("a batch of another's file: %d %s", status, text)
	}
	_, _, text = s.call(t, "POST", "/v1/batches", ask, "X-Api-Key", "one")
	if err := json.Unmarshal([]byte(text), &b); err != nil || b.ID == "" {
		t.Fatalf("%s, %v", text, err)
	}
	for _, operation := range []string{"GET /v1/files/" + file.ID, "GET /v1/files/" + file.ID + "/content", "DELETE /v1/files/" + file.ID,
		"GET /v1/batches/" + b.ID, "POST /v1/batches/" + b.ID + "/cancel"} {
		method, path, _ := strings.Cut(operation, " ")
		if status, _, text := s.call(t, method, path, "", "X-Api-Key", "two"); status != http.StatusNotFound {
			t.Errorf("%s by another: %d %s", operation, status, text)
		}
	}
	for _, path := range []string{"/v1/files", "/v1/batches"} {
		if _, _, text := s.call(t, "GET", path, "", "X-Api-Key", "two"); !strings.Contains(text, `"data":[]`) {
			t.Errorf("%s of another: %s", path, text)
		}
		if _, _, text := s.call(t, "GET", path, "", "X-Api-Key", "one"); strings.Contains(text, `"data":[]`) {
			t.Errorf("%s: %s", path, text)
		}
	}
	for !strings.Contains(text, `"completed_at":1`) {
		_, _, text = s.call(t, "GET", "/v1/batches/"+b.ID, "", "X-Api-Key", "one")
	}
	for _, r := range s.model.Asked() {
		if r.User != "ann" {
			t.Errorf("a request of %q", r.User)
		}
	}
}
