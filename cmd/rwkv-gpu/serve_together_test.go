package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
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

// Several answers to one prompt, by n or best_of, have the texts and the log-probabilities that each seed gives alone, with
// fewer slots than answers, whole and as a stream, with the tokens of the prompt and without. The prompt is read once.
func TestServeAlternatives(t *testing.T) {
	const n = 3
	s := startServing(t, "--device", vulkanDevice(t), "--exact", "--max-sequences", "2")
	ask := func(path string, body map[string]any) (text, answer string, read int) {
		t.Helper()
		before := s.metric(t, "rwkv_fed_tokens_total", "")
		status, answer, err := s.try(t.Context(), "", "POST", path, body)
		if err == nil && status == http.StatusOK {
			text, err = texts(answer, body["stream"] == true)
		}
		if err != nil || text == "" {
			t.Fatalf("%d %s (%v)", status, answer, err)
		}
		return text, answer, int(s.metric(t, "rwkv_fed_tokens_total", "") - before)
	}
	prompt := strings.Repeat("Tell me of two foxes who live in a wood, and of all their friends. ", 4)
	for i, path := range []string{"/v1/completions", "/v1/completions", "/v1/chat/completions"} {
		body := map[string]any{"temperature": 1, "max_tokens": 8, "cache": false, "logit_bias": map[string]any{"0": -100}}
		if i < 2 {
			body["prompt"], body["logprobs"], body["echo"] = prompt, 1, i == 1
		} else {
			body["messages"], body["logprobs"] = messages("", []string{prompt}), true
		}
		var want []string
		var whole int
		for k := range n {
			var text string
			body["seed"] = 7 + k
			text, _, whole = ask(path, body)
			want = append(want, text)
		}
		body["seed"], body["n"] = 7, n
		for _, stream := range []bool{false, true} {
			body["stream"] = stream
			text, answer, read := ask(path, body)
			if text != strings.Join(want, "\x00") {
				t.Errorf("%s, stream %t: %q, want %q", path, stream, text, want)
			}
			if read != whole+n-1 {
				t.Errorf("%s, stream %t: %d tokens of prompts were read, want %d and %d", path, stream, read, whole, n-1)
			}
			usage := fmt.Sprintf(`"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0}`,
				whole, n*8, whole+n*8)
			if !stream && !strings.Contains(answer, usage) {
				t.Errorf("%s: want %s in %s", path, usage, answer)
			}
		}
		if i == 0 {
			body["stream"], body["n"], body["best_of"] = false, 1, n
			if text, _, read := ask(path, body); !slices.Contains(want, text) || read != whole+n-1 {
				t.Errorf("the best of %q is %q, for %d tokens of the prompt", want, text, read)
			}
		}
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
		if i%5 < 2 {
			body["include"] = []string{"message.output_text.logprobs"}
		}
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
	return texts(answer, body["stream"] == true)
}

// texts returns the text of an answer, with the log-probabilities of its tokens, or those of several, each behind a zero byte.
func texts(answer string, stream bool) (string, error) {
	parts := []string{answer}
	if stream {
		parts = nil
		for lines := bufio.NewScanner(strings.NewReader(answer)); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && data != "[DONE]" {
				parts = append(parts, data)
			}
		}
	}
	var text, numbers [8]string // of each answer
	for _, part := range parts {
		var p struct {
			Type    string
			Delta   json.RawMessage // a text in streams of responses
			Choices []struct {
				Index          int
				Text           string
				Message, Delta struct{ Content string }
				Logprobs       struct {
					Tokens  []json.Number `json:"token_logprobs"`
					Content []struct{ Logprob json.Number }
				}
			}
			Logprobs []struct{ Logprob json.Number } // beside a delta
			Output   []struct {
				Content []struct {
					Text     string
					Logprobs []struct{ Logprob json.Number }
				}
			}
		}
		if err := json.Unmarshal([]byte(part), &p); err != nil {
			return "", fmt.Errorf("%w: %s", err, part)
		}
		if p.Type == "response.output_text.delta" {
			var more string
			if err := json.Unmarshal(p.Delta, &more); err != nil {
				return "", err
			}
			text[0] += more
			for _, x := range p.Logprobs {
				numbers[0] += " " + x.Logprob.String()
			}
		}
		for _, c := range p.Choices {
			text[c.Index] += c.Text + c.Message.Content + c.Delta.Content
			for _, x := range c.Logprobs.Tokens {
				numbers[c.Index] += " " + x.String()
			}
			for _, x := range c.Logprobs.Content {
				numbers[c.Index] += " " + x.Logprob.String()
			}
		}
		for _, o := range p.Output {
			for _, c := range o.Content {
				text[0] += c.Text
				for _, x := range c.Logprobs {
					numbers[0] += " " + x.Logprob.String()
				}
			}
		}
	}
	all := text[0] + numbers[0]
	for i := 1; text[i] != ""; i++ {
		all += "\x00" + text[i] + numbers[i]
	}
	return all, nil
}
