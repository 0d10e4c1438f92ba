package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// requestIDs matches what differs in errors of Anthropic's protocol.
var requestIDs = regexp.MustCompile(`"request_id":"[^"]*"`)

// A state of one key is none of another: nothing tells its id from one that never was, in any request that takes an id,
// also after a restart with its file.
func TestServeIsolatesStates(t *testing.T) {
	args := []string{"--device", "cpu", "--cache-disk", t.TempDir(), "--api-keys", writeFile(t, "keys", []byte("ann key-a\nbob key-b\n"))}
	s := startServing(t, args...)
	var made struct{ ID string }
	s.send(t, "key-a", "POST", "/v1/states", rawJSON(`{"name":"secret","prompt":"Once upon a time"}`), http.StatusOK, &made)
	content := s.send(t, "key-a", "GET", "/v1/states/"+made.ID+"/content", nil, http.StatusOK, nil)
	never := made.ID[:len(made.ID)-16] + "AAAAAAAAAAAAAAAA"
	for range 2 {
		for _, c := range []struct {
			method, path string
			body         any
		}{
			{"GET", "/v1/states/ID", nil},
			{"GET", "/v1/states/ID/content", nil},
			{"PUT", "/v1/states/ID/content", []byte(content)},
			{"PUT", "/v1/states/ID/content", []byte("no state at all")},
			{"POST", "/v1/states/ID/fork", nil},
			{"DELETE", "/v1/states/ID", nil},
			{"POST", "/v1/states", rawJSON(`{"from":"ID"}`)},
			{"POST", "/v1/states", rawJSON(`{"from":"ID","prompt":"there was"}`)},
			{"POST", "/v1/completions", rawJSON(`{"state":"ID","prompt":"there was","max_tokens":1}`)},
			{"POST", "/v1/chat/completions", rawJSON(`{"state":"ID","messages":[{"role":"user","content":"Hello"}],"max_tokens":1}`)},
			{"POST", "/v1/responses", rawJSON(`{"state":"ID","input":"Hello","max_output_tokens":1}`)},
			{"POST", "/v1/messages", rawJSON(`{"state":"ID","messages":[{"role":"user","content":"Hello"}],"max_tokens":1}`)},
		} {
			ask := func(key, id string, status int) string {
				body := c.body
				if raw, ok := body.(rawJSON); ok {
					body = rawJSON(strings.ReplaceAll(string(raw), "ID", id))
				}
				return s.send(t, key, c.method, strings.Replace(c.path, "ID", id, 1), body, status, nil)
			}
			other, want := ask("key-b", made.ID, http.StatusNotFound), ask("key-b", never, http.StatusNotFound)
			if requestIDs.ReplaceAllString(strings.ReplaceAll(other, made.ID, never), "") != requestIDs.ReplaceAllString(want, "") {
				t.Errorf("%s %s of another's id: %s, and of an id that never was: %s", c.method, c.path, other, want)
			}
			if c.method != "DELETE" && fmt.Sprint(c.body) != fmt.Sprint([]byte("no state at all")) {
				ask("key-a", made.ID, http.StatusOK)
			}
		}
		if list := s.send(t, "key-b", "GET", "/v1/states", nil, http.StatusOK, nil); !strings.Contains(list, `"data":[]`) {
			t.Errorf("another key's states: %s", list)
		}
		if status := s.end(t, syscall.SIGTERM); status != statusDone {
			t.Errorf("status %d: %s", status, s.log)
		}
		s = startServing(t, args...)
	}
	s.send(t, "key-a", "DELETE", "/v1/states/"+made.ID, nil, http.StatusOK, nil)
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// What follows a state is cached for its key alone, also where another key has the same state by its file.
func TestServeIsolatesWhatFollowsStates(t *testing.T) {
	s := startServing(t, "--device", "cpu", "--api-keys", writeFile(t, "keys", []byte("ann key-a\nbob key-b\n")))
	state := func(key string) (id string) {
		var made struct{ ID string }
		s.send(t, key, "POST", "/v1/states", rawJSON(`{"prompt":"Once upon a time"}`), http.StatusOK, &made)
		return made.ID
	}
	follow := func(key, id string) (fed int) {
		before := s.metric(t, "rwkv_fed_tokens_total", key)
		text := strings.Repeat(" there was a fox who lived in a wood.", 3)
		s.send(t, key, "POST", "/v1/completions", map[string]any{"state": id, "prompt": text, "max_tokens": 1}, http.StatusOK, nil)
		return int(s.metric(t, "rwkv_fed_tokens_total", key) - before)
	}
	ann, bob := state("key-a"), state("key-b")
	content := s.send(t, "key-a", "GET", "/v1/states/"+ann+"/content", nil, http.StatusOK, nil)
	s.send(t, "key-b", "PUT", "/v1/states/"+bob+"/content", []byte(content), http.StatusOK, nil)
	first, again, other := follow("key-a", ann), follow("key-a", ann), follow("key-b", bob)
	if again != 1 || first < 20 || other != first {
		t.Errorf("the model was fed %d tokens, then %d, and %d for another key", first, again, other)
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}
