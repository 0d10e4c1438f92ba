package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi/contract"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// form returns a form with a file, and its Content-Type.
func form(t *testing.T, purpose, name, text string) (body, kind string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", name) // before the purpose, as some clients send it
	if err == nil {
		_, err = io.WriteString(part, text)
	}
	if purpose != "" {
		err = errors.Join(err, w.WriteField("purpose", purpose))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// What cannot be kept is refused, and leaves nothing behind.
func TestUploadRefused(t *testing.T) {
	s := serve(t, nil)
	whole, kind := form(t, "batch", "a", requests(1))
	_, boundary, _ := strings.Cut(kind, "boundary=")
	for want, send := range map[string][2]string{
		"400 purpose: want batch, got another string":          asForm(form(t, "fine-tune", "a", "x")),
		"400 purpose: missing, want batch":                     asForm(form(t, "", "a", "x")),
		"400 the body: want a form (multipart/form-data), got": {`{"purpose":"batch"}`, "application/json"},
		"400 the body: want a whole form":                      {whole[:len(whole)-60], kind},
		"413 file: want at most 65536 bytes, got more":         asForm(form(t, "batch", "a", strings.Repeat("x", 1<<16+1))),
		"413 the body is larger than the 1114112 bytes":        {strings.Replace(whole, "\r\n\r\nbatch", "\r\n\r\nbatch\r\n--"+boundary+"\r\nContent-Disposition: form-data; name=\"more\"\r\n\r\n"+strings.Repeat("x", 2<<20), 1), kind},
	} {
		status, _, text := s.call(t, "POST", "/v1/files", send[0], "Content-Type", send[1])
		if number, message, _ := strings.Cut(want, " "); fmt.Sprint(status) != number || !strings.Contains(text, message) {
			t.Errorf("want %s, got %d %s", want, status, text)
		}
	}
	for range 2 {
		body, kind := form(t, "batch", "a", strings.Repeat("x", 60_000))
		if status, _, text := s.call(t, "POST", "/v1/files", body, "Content-Type", kind); status != http.StatusOK {
			t.Errorf("%d %s", status, text)
		}
	}
	body, kind := form(t, "batch", "a b", strings.Repeat("x", 20_000))
	if status, _, text := s.call(t, "POST", "/v1/files", body, "Content-Type", kind); status != http.StatusForbidden || !strings.Contains(text, "files_full") {
		t.Errorf("%d %s", status, text)
	}
	for path, want := range map[string]string{"/v1/files?order=x": "order: want asc or desc", "/v1/files?limit=0": "limit: want an integer from 1 to 10000",
		"/v1/batches?limit=101": "limit: want an integer from 1 to 100", "/v1/batches?after=x": "after: want the id"} {
		if status, _, text := s.call(t, "GET", path, ""); status != http.StatusBadRequest || !strings.Contains(text, want) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

func asForm(body, kind string) [2]string { return [2]string{body, kind} }

// A server without a folder for files says so.
func TestNoFiles(t *testing.T) {
	none, err := batches.Open(batches.Options{Fail: openai.Fail}, nil)
	if err != nil {
		t.Fatal(err)
	}
	none.Start(t.Context())
	for _, r := range none.Routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		w := httptest.NewRecorder()
		e := r.Handle(w, &api.Call{Request: httptest.NewRequest(method, path, nil)})
		if e == nil || e.Status != http.StatusNotFound || !strings.Contains(e.Message, "--files DIR") {
			t.Errorf("%s: %+v", r.Pattern, e)
		}
	}
	if err := none.Close(); err != nil {
		t.Error(err)
	}
}

// batchesOf has files and batches answered in all ways that they are.
func batchesOf(t *testing.T, c *contract.Contract) {
	d := describe(t, c, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Pause = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
	})
	file := func(purpose, text string) string {
		body, kind := form(t, purpose, "a", text)
		_, answer := d.ask(t, "POST /v1/files", body, "Content-Type", kind)
		if purpose != "batch" || len(text) > 1<<16 {
			return ""
		}
		return idOf(t, answer)
	}
	batch := func(file string) string {
		_, answer := d.ask(t, "POST /v1/batches", fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"a":"b"}}`, file))
		return idOf(t, answer)
	}
	over := func(id string) {
		for text := ""; !strings.Contains(text, `"status":"cancelled"`) && !strings.Contains(text, `"status":"failed"`); {
			_, text = d.ask(t, "GET /v1/batches/"+id, "")
		}
	}
	file("other", "a")
	file("batch", strings.Repeat("x", 1<<16+1))
	id := file("batch", requests(2))
	hangs, fails := batch(id), batch(file("batch", "[]"))
	for _, operation := range []string{"GET /v1/files", "GET /v1/files/{}", "GET /v1/files/{}/content", "DELETE /v1/files/{}", "GET /v1/files?limit=0", "GET /v1/batches?limit=0"} {
		d.ask(t, strings.Replace(operation, "{}", id, 1), "")
	}
	d.ask(t, "POST /v1/batches/"+hangs+"/cancel", "")
	over(hangs)
	over(fails)
	for _, operation := range []string{"POST /v1/batches/" + hangs + "/cancel", "DELETE /v1/files/" + id, "GET /v1/batches"} {
		d.ask(t, operation, "")
	}
	none, err := batches.Open(batches.Options{Fail: openai.Fail}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Routes: none.Routes(), Fail: openai.Fail, Keys: new(keys.Ring), Metrics: server.NewMetrics(), Log: slog.New(slog.DiscardHandler), Local: true})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(c.Handler(s, func(err error) { t.Error(err) }))
	defer web.Close()
	for _, r := range none.Routes() {
		method, path, _ := strings.Cut(r.Pattern, " ")
		if status, _, text := send(t, web.URL, method, path, ""); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", r.Pattern, status, text)
		}
	}
}
