package client

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
)

// A file of requests is uploaded, answered as a batch, and its results are fetched.
func TestBatches(t *testing.T) {
	var text strings.Builder
	for i := range 5 {
		fmt.Fprintf(&text, `{"custom_id":"i%d","method":"POST","url":"/v1/embeddings","body":{"input":"a fox %d","dimensions":16}}`+"\n", i, i)
	}
	file, err := demo.Files.New(t.Context(), openai.FileNewParams{File: openai.File(strings.NewReader(text.String()), "in.jsonl", "application/jsonl"),
		Purpose: openai.FilePurposeBatch})
	if err != nil {
		t.Fatal(err)
	}
	b, err := demo.Batches.New(t.Context(), openai.BatchNewParams{InputFileID: file.ID, Endpoint: openai.BatchNewParamsEndpointV1Embeddings,
		CompletionWindow: openai.BatchNewParamsCompletionWindow24h})
	for end := time.Now().Add(time.Minute); err == nil && b.Status != openai.BatchStatusCompleted; b, err = demo.Batches.Get(t.Context(), b.ID) {
		if time.Now().After(end) {
			t.Fatalf("%s", b.RawJSON())
		}
		time.Sleep(50 * time.Millisecond)
	}
	if err != nil || b.RequestCounts.Completed != 5 || b.ErrorFileID != "" {
		t.Fatalf("%s, %v", b.RawJSON(), err)
	}
	content, err := demo.Files.Content(t.Context(), b.OutputFileID)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Body.Close()
	out, err := io.ReadAll(content.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for i, line := range lines {
		var r struct {
			CustomID string `json:"custom_id"`
			Response struct {
				Body openai.CreateEmbeddingResponse `json:"body"`
			} `json:"response"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || r.CustomID != fmt.Sprintf("i%d", i) || len(r.Response.Body.Data[0].Embedding) != 16 {
			t.Errorf("%s, %v", line, err)
		}
	}
	if len(lines) != 5 {
		t.Errorf("%d results", len(lines))
	}
}
