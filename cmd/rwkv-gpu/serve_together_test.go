package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// 64 requests at once give, with --exact, the texts that each gives alone, and where log-probabilities are asked for, the
// same ones to the last digit: chats, completions and responses, whole and as streams, with and without the cache.
func TestServeTogether(t *testing.T) {
	s := startServing(t, "--device", vulkanDevice(t), "--exact", "--max-sequences", "6", "--queue", "64")
	n := 64
	if testing.Short() {
		n = 16
	}
	want, got := make([]string, n), make([]string, n)
	for i := range n {
		var err error
		if want[i], err = s.text(t.Context(), i); err != nil || want[i] == "" {
			t.Fatalf("request %d: %q (%v)", i, want[i], err)
		}
	}
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			var err error
			if got[i], err = s.text(t.Context(), i); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		}()
	}
	all.Wait()
	distinct := map[string]bool{}
	for i := range n {
		if distinct[want[i]] = true; got[i] != want[i] {
			t.Errorf("request %d: %q, and alone %q", i, got[i], want[i])
		}
	}
	if len(distinct) < n/2 {
		t.Errorf("%d requests have only %d texts", n, len(distinct))
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// mixed is one of many requests that differ in what they ask for, and how.
func mixed(i int) (path string, body map[string]any) {
	said := fmt.Sprintf("Tell me of %d foxes who live in a wood, and of their %d friends.", i+2, i%5)
	body = map[string]any{"temperature": float64(i%3) / 2, "seed": i, "stream": i%2 == 0, "cache": i%4 < 3, "logit_bias": map[string]any{"0": -100}}
	if i%5 < 2 && i%3 < 2 {
		body["logprobs"] = []any{true, 1}[i%3]
	}
	switch i % 3 {
	case 0:
		path, body["messages"], body["max_tokens"] = "/v1/chat/completions", messages("You tell stories.", []string{said}), 6+i%7
	case 1:
		path, body["prompt"], body["max_tokens"] = "/v1/completions", "Once upon a time there was a fox. "+said, 6+i%7
	default:
		path, body["input"], body["max_output_tokens"] = "/v1/responses", said, 6+i%7
	}
	return path, body
}

// text sends one of the mixed requests, and returns the text of the answer, whichever protocol and form that has, with the
// log-probabilities of its tokens.
func (s *serving) text(ctx context.Context, i int) (string, error) {
	path, body := mixed(i)
	status, answer, err := s.try(ctx, "", "POST", path, body)
	if err != nil || status != http.StatusOK {
		return "", fmt.Errorf("%d %s (%w)", status, answer, err)
	}
	parts := []string{answer}
	if body["stream"] == true {
		parts = nil
		for lines := bufio.NewScanner(strings.NewReader(answer)); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "[DONE]" {
				parts = append(parts, data)
			}
		}
	}
	var all strings.Builder
	for _, part := range parts {
		var p struct {
			Type    string
			Delta   json.RawMessage // a text in streams of responses
			Choices []struct {
				Text           string
				Message, Delta struct{ Content string }
				Logprobs       struct {
					Tokens  []json.Number `json:"token_logprobs"`
					Content []struct{ Logprob json.Number }
				}
			}
			Output []struct{ Content []struct{ Text string } }
		}
		if err := json.Unmarshal([]byte(part), &p); err != nil {
			return "", fmt.Errorf("%w: %s", err, part)
		}
		if p.Type == "response.output_text.delta" {
			var text string
			if err := json.Unmarshal(p.Delta, &text); err != nil {
				return "", err
			}
			all.WriteString(text)
		}
		for _, c := range p.Choices {
			all.WriteString(c.Text + c.Message.Content + c.Delta.Content)
			for _, x := range c.Logprobs.Tokens {
				all.WriteString(" " + x.String())
			}
			for _, x := range c.Logprobs.Content {
				all.WriteString(" " + x.Logprob.String())
			}
		}
		for _, o := range p.Output {
			for _, c := range o.Content {
				all.WriteString(c.Text)
			}
		}
	}
	return all.String(), nil
}
