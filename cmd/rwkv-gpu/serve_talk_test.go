package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// talker is what a user of a server says, and what it costs.
type talker struct {
	t         *testing.T
	s         *serving
	name, key string
}

// answerOf is an answer with its costs.
type answerOf struct {
	text, reasoning       string
	prompt, cached, drawn int
	fed                   int // tokens that the model read: of the prompt, and what was forced
}

// ask sends a chat of a system prompt and by turns what the user and the assistant said, with more fields. It compares
// the answer with that of a request that leaves the cache alone.
func (k *talker) ask(system string, said []string, fields map[string]any) answerOf {
	k.t.Helper()
	body := map[string]any{"messages": messages(system, said), "max_tokens": 6, "temperature": 0}
	maps.Copy(body, fields)
	r := k.post("/v1/chat/completions", body)
	body["cache"] = false
	if cold := k.post("/v1/chat/completions", body); cold.cached != 0 || cold.text != r.text || cold.reasoning != r.reasoning {
		k.t.Errorf("%s: %+v, and without the cache %+v", k.name, r, cold)
	}
	return r
}

func messages(system string, said []string) (list []map[string]string) {
	if system != "" {
		list = append(list, map[string]string{"role": "system", "content": system})
	}
	for i, text := range said {
		list = append(list, map[string]string{"role": []string{"user", "assistant"}[i%2], "content": text})
	}
	return list
}

// post sends a request for one answer.
func (k *talker) post(path string, body map[string]any) (r answerOf) {
	k.t.Helper()
	before := k.s.metric(k.t, "rwkv_fed_tokens_total", k.key)
	var a struct {
		Choices []struct {
			Text    string
			Message struct {
				Content   string
				Reasoning string `json:"reasoning_content"`
			}
		}
		Usage struct {
			Prompt  int `json:"prompt_tokens"`
			Drawn   int `json:"completion_tokens"`
			Details struct {
				Cached *int `json:"cached_tokens"`
			} `json:"prompt_tokens_details"`
		}
	}
	k.s.send(k.t, k.key, "POST", path, body, http.StatusOK, &a)
	if len(a.Choices) != 1 || a.Usage.Details.Cached == nil {
		k.t.Fatalf("%s: %+v", k.name, a)
	}
	r = answerOf{a.Choices[0].Text + a.Choices[0].Message.Content, a.Choices[0].Message.Reasoning, a.Usage.Prompt, *a.Usage.Details.Cached, a.Usage.Drawn,
		int(k.s.metric(k.t, "rwkv_fed_tokens_total", k.key) - before)}
	if read := r.prompt - r.cached; body["regex"] == nil && r.fed != read || r.fed < read || r.fed > read+r.drawn {
		k.t.Errorf("%s: the model was fed %d tokens, and %d of the prompt's %d were cached", k.name, r.fed, r.cached, r.prompt)
	}
	return r
}

// want compares what was read of a prompt, and what the model was fed, with what should have been.
func (k *talker) want(what string, r answerOf, read int) {
	k.t.Helper()
	if r.prompt-r.cached != read || r.fed != read {
		k.t.Errorf("%s, %s: %d of %d tokens were read, the model was fed %d, want %d", k.name, what, r.prompt-r.cached, r.prompt, r.fed, read)
	}
}

// cost is want for an answer of which some is forced, and so fed as well.
func (k *talker) cost(what string, r answerOf, read int) {
	k.t.Helper()
	if r.prompt-r.cached != read {
		k.t.Errorf("%s, %s: %d of %d tokens were read, want %d", k.name, what, r.prompt-r.cached, r.prompt, read)
	}
}

// goesOn wants a turn to begin with all that was fed in the turn before it.
func (k *talker) goesOn(what string, before, r answerOf) {
	k.t.Helper()
	if fed := before.prompt + before.drawn - 1; r.cached != fed {
		k.t.Errorf("%s, %s: %d tokens were cached, want the %d of the turn before", k.name, what, r.cached, fed)
	}
}

// turn is what a user's turn costs behind a separator.
func (k *talker) turn(user string) int { return k.count("User:", " "+user, "\n\n") + k.reply() }

// reply is what is read where the user's words are known, with the separator behind them.
func (k *talker) reply() int { return k.count("Assistant:") }

// count returns how many tokens the texts have, each encoded by itself.
func (k *talker) count(texts ...string) (n int) {
	k.t.Helper()
	for _, text := range texts {
		n += len(k.encode(text))
	}
	return n
}

func (k *talker) encode(text string) []int {
	k.t.Helper()
	var a struct{ Tokens []int }
	k.s.send(k.t, k.key, "POST", "/tokenize", map[string]any{"prompt": text}, http.StatusOK, &a)
	return a.Tokens
}

// send sends a request with a key and wants a status. It reads the answer into v, unless that is nil.
func (s *serving) send(t *testing.T, key, method, path string, body any, status int, v any) (text string) {
	t.Helper()
	got, text, err := s.try(t.Context(), key, method, path, body)
	if err == nil && v != nil {
		err = json.Unmarshal([]byte(text), v)
	}
	if err != nil || got != status {
		t.Fatalf("%s %s: want status %d, got %d %s (%v)", method, path, status, got, text, err)
	}
	return text
}

// try sends a request with a key, and returns the answer. A body is bytes or any value that JSON can write; nil is none.
func (s *serving) try(ctx context.Context, key, method, path string, body any) (status int, text string, err error) {
	data, raw := body.([]byte)
	if body != nil && !raw {
		if data, err = json.Marshal(body); err != nil {
			return 0, "", err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(data))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := s.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }() // read to its end
	all, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(all), err
}

// metric returns one of the server's metrics, which has no labels.
func (s *serving) metric(t *testing.T, name, key string) float64 {
	t.Helper()
	text := s.send(t, key, "GET", "/metrics", nil, http.StatusOK, nil)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			x, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
