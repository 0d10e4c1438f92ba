package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
)

// upload sends a file of requests, and returns its id.
func (s *serving) upload(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreateFormFile("file", "in.jsonl")
	if err == nil {
		_, err = io.WriteString(part, text)
	}
	if err != nil || w.WriteField("purpose", "batch") != nil || w.Close() != nil {
		t.Fatal(err)
	}
	r, err := s.client.Post(s.url+"/v1/files", w.FormDataContentType(), &b)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var f batches.File
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil || f.ID == "" {
		t.Fatalf("%s: %+v, %v", r.Status, f, err)
	}
	return f.ID
}

// whenBatch asks for a batch until it is as far as is wanted.
func (s *serving) whenBatch(t *testing.T, id string, far func(batches.Batch) bool) (b batches.Batch) {
	t.Helper()
	for {
		if err := json.Unmarshal([]byte(s.get(t, "/v1/batches/"+id)), &b); err != nil {
			t.Fatal(err)
		}
		if far(b) {
			return b
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// A batch goes on whenever its server ends, in order or killed, and gives what it gives undisturbed. Chats are answered
// meanwhile. What the server keeps is counted.
func TestServeBatches(t *testing.T) {
	var text strings.Builder
	const items = 40
	for i := range items {
		fmt.Fprintf(&text, `{"custom_id":"i%d","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"Tell me of fox %d."}],"max_tokens":%d}}`+"\n", i, i, 8+i%16)
	}
	var want []string
	for _, kill := range []bool{false, true} {
		args := []string{"--files", filepath.Join(t.TempDir(), "files"), "--device", "cpu", "--exact", "--max-sequences", "2"}
		s := startServing(t, args...)
		var b batches.Batch
		s.read(t, "/v1/batches", fmt.Sprintf(`{"input_file_id":%q,"endpoint":"/v1/chat/completions","completion_window":"24h"}`, s.upload(t, text.String())), &b)
		last := int64(0)
		for round := 1; kill && round <= 4; round++ {
			had := s.whenBatch(t, b.ID, func(b batches.Batch) bool { return b.Counts.Completed > last || b.Counts.Completed == items })
			if a := s.post(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Hello!")); len(a.Choices) != 1 {
				t.Errorf("beside a batch: %+v", a)
			}
			signal := syscall.SIGKILL
			if round%2 == 0 {
				signal = syscall.SIGTERM
			}
			s.end(t, signal)
			s = startServing(t, args...)
			now := s.whenBatch(t, b.ID, func(batches.Batch) bool { return true })
			if last = now.Counts.Completed; last < had.Counts.Completed || now.Counts.Total != items {
				t.Errorf("round %d: %+v after %+v", round, now.Counts, had.Counts)
			}
		}
		b = s.whenBatch(t, b.ID, func(b batches.Batch) bool { return b.Completed != nil })
		if b.Status != "completed" || b.Counts != (batches.Counts{Total: items, Completed: items}) || b.Output == nil || b.Failures != nil {
			t.Errorf("%+v", b)
		}
		if metrics := s.get(t, "/metrics"); !strings.Contains(metrics, "rwkv_batches 0\n") || !strings.Contains(metrics, "rwkv_files 2\n") {
			t.Errorf("%s", metrics)
		}
		var got []string
		for i, line := range strings.Split(strings.TrimSpace(s.get(t, "/v1/files/"+*b.Output+"/content")), "\n") {
			var r struct {
				CustomID string `json:"custom_id"`
				Response struct{ Body answered }
			}
			decodeSome(t, line, &r)
			if r.CustomID != fmt.Sprintf("i%d", i) {
				t.Errorf("line %d: %s", i, line)
			}
			got = append(got, r.Response.Body.Choices[0].Message.Content)
		}
		if want == nil {
			want = got
		}
		if len(got) != items || !slices.Equal(got, want) {
			t.Errorf("%d answers: %q, want %q", len(got), got, want)
		}
		s.end(t, syscall.SIGKILL)
	}
}

// decodeSome reads what v has fields for.
func decodeSome(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %.300q", err, text)
	}
}

// Without a folder for files the server says how to have one, and a folder that another server has is an error.
func TestServeFilesFolder(t *testing.T) {
	dir := t.TempDir()
	s := startServing(t, "--device", "cpu", "--files", dir)
	wantError(t, cli("serve", "--listen", "127.0.0.1:0", "--device", "cpu", "--quiet", "--files", dir), statusInput, "--files", "another process has this folder")
	s.end(t, syscall.SIGTERM)
	s = startServing(t, "--device", "cpu")
	r, err := s.client.Get(s.url + "/v1/batches")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if said, err := io.ReadAll(r.Body); err != nil || r.StatusCode != http.StatusNotFound || !strings.Contains(string(said), "--files DIR") {
		t.Errorf("%s %s (%v)", r.Status, said, err)
	}
}
