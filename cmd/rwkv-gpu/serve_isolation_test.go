package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// readings are requests that read a text. Embeddings leave the cache alone.
var readings = []struct {
	path, body string
	kept       bool
}{
	{"/v1/chat/completions", `"messages":[{"role":"system","content":%q},{"role":"user","content":"Hello!"}],"max_tokens":1`, true},
	{"/v1/completions", `"prompt":[%q],"max_tokens":1`, true},
	{"/v1/responses", `"instructions":%q,"input":"Hello!","max_output_tokens":1`, true},
	{"/v1/messages", `"system":%q,"messages":[{"role":"user","content":"Hello!"}],"max_tokens":1`, true},
	{"/v1/embeddings", `"input":%q`, false},
}

// costs is what an answer of any protocol tells of its prompt.
type costs struct {
	ID    string
	Usage struct {
		Prompt  int `json:"prompt_tokens"`
		Details struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		Input        int `json:"input_tokens"` // in Anthropic's protocol without the cached ones
		InputDetails struct {
			Cached int `json:"cached_tokens"`
		} `json:"input_tokens_details"`
		Read int `json:"cache_read_input_tokens"`
	}
}

func (c *costs) prompt() int { return c.Usage.Prompt + c.Usage.Input + c.Usage.Read }
func (c *costs) cached() int {
	return c.Usage.Details.Cached + c.Usage.InputDetails.Cached + c.Usage.Read
}

// reading sends one of the readings, and returns the answer and how many tokens the model was fed for it.
func (s *serving) reading(t *testing.T, key string, i int, text string) (c costs, fed int) {
	t.Helper()
	before := s.metric(t, "rwkv_fed_tokens_total", key)
	s.send(t, key, "POST", readings[i].path, rawJSON("{"+fmt.Sprintf(readings[i].body, text)+"}"), http.StatusOK, &c)
	return c, int(s.metric(t, "rwkv_fed_tokens_total", key) - before)
}

// rawJSON is JSON that is sent as it is.
type rawJSON string

// MarshalJSON returns the text.
func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// What one key's requests left behind makes no request of another key cheaper, in any protocol, nor after a restart.
func TestServeIsolatesCaches(t *testing.T) {
	keys := writeFile(t, "keys", []byte("ann key-a\nbob key-b\ncarl key-c\n"))
	args := []string{"--device", "cpu", "--api-keys", keys, "--cache-disk", t.TempDir()}
	s := startServing(t, args...)
	text := strings.Repeat("A fox and a hare lived in a wood, and each had a house of its own. ", 3)
	others := []string{"key-b", "key-c"}
	for round := range 2 {
		for i, reading := range readings {
			text := fmt.Sprintf("%d. %s", i, text)
			_, whole := s.reading(t, "key-a", i, text)
			own, again := s.reading(t, "key-a", i, text)
			if whole < 20 && round == 0 || reading.kept && (again > 8 || again != own.prompt()-own.cached()) {
				t.Errorf("%s: the model was fed %d tokens, then %d with %d of %d cached", reading.path, whole, again, own.cached(), own.prompt())
			}
			other, fed := s.reading(t, others[round], i, text)
			if other.cached() != 0 || other.prompt() != own.prompt() || fed != own.prompt() {
				t.Errorf("%s: another key: the model was fed %d tokens, %d of %d cached", reading.path, fed, other.cached(), other.prompt())
			}
		}
		if status := s.end(t, syscall.SIGTERM); status != statusDone {
			t.Errorf("status %d: %s", status, s.log)
		}
		if round == 0 {
			s = startServing(t, args...)
		}
	}
}

// An id of one key is no id of another: nothing tells it from one that never was.
func TestServeIsolatesIDs(t *testing.T) {
	s := startServing(t, "--device", "cpu", "--api-keys", writeFile(t, "keys", []byte("ann key-a\nbob key-b\n")))
	var response struct {
		ID     string
		Output []struct{ ID string }
	}
	s.send(t, "key-a", "POST", "/v1/responses", rawJSON(`{"input":"Hello!","max_output_tokens":4,"logit_bias":{"0":-100}}`), http.StatusOK, &response)
	if len(response.Output) == 0 {
		t.Fatalf("%+v", response)
	}
	previous, item := `{"input":"And then?","max_output_tokens":1,"previous_response_id":%q}`,
		`{"input":[{"type":"item_reference","id":%q},{"role":"user","content":"And then?"}],"max_output_tokens":1}`
	for _, c := range []struct{ method, path, body, id string }{ // of which the last deletes it
		{"GET", "/v1/responses/%s", "", response.ID},
		{"POST", "/v1/responses", previous, response.ID},
		{"POST", "/v1/responses", item, response.Output[0].ID},
		{"POST", "/v1/responses/input_tokens", previous, response.ID},
		{"POST", "/v1/responses/input_tokens", item, response.Output[0].ID},
		{"DELETE", "/v1/responses/%s", "", response.ID},
	} {
		ask := func(key, id string, status int) string {
			path, body := c.path, any(nil)
			if c.body == "" {
				path = fmt.Sprintf(c.path, id)
			} else {
				body = rawJSON(fmt.Sprintf(c.body, id))
			}
			return s.send(t, key, c.method, path, body, status, nil)
		}
		never := c.id[:len(c.id)-16] + "AAAAAAAAAAAAAAAA"
		other, want := ask("key-b", c.id, http.StatusNotFound), ask("key-b", never, http.StatusNotFound)
		if strings.ReplaceAll(other, c.id, never) != want {
			t.Errorf("%s %s of another's id: %s, and of an id that never was: %s", c.method, c.path, other, want)
		}
		ask("key-a", c.id, http.StatusOK)
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// Users who ask for the same texts at the same time find no more of them in the cache than their own requests can have left:
// the longest beginning that one of these has.
func TestServeIsolatesUsersAtOnce(t *testing.T) {
	users := []string{"key-a", "key-b", "key-c"}
	s := startServing(t, "--device", "cpu", "--max-sequences", "2", "--api-keys", writeFile(t, "keys", []byte("ann key-a\nbob key-b\ncarl key-c\n")))
	random := rand.New(rand.NewPCG(1, 2)) // numbers that come again
	var texts [4][]int                    // all of which begin alike
	for i := range texts {
		texts[i] = append(texts[i], texts[max(i-1, 0)][:len(texts[max(i-1, 0)])/2]...)
		for len(texts[i]) < 60 {
			texts[i] = append(texts[i], 1+random.IntN(255))
		}
	}
	n := 40
	if testing.Short() {
		n = 15
	}
	var all sync.WaitGroup
	read := make([]int, len(users))
	for u, key := range users {
		random := rand.New(rand.NewPCG(3, uint64(u))) // likewise
		all.Add(1)
		go func() {
			defer all.Done()
			var own [][]int
			for range n {
				whole := texts[random.IntN(len(texts))]
				ids := append(slices.Clone(whole[:random.IntN(len(whole))]), 1+random.IntN(255))
				var c costs
				status, text, err := s.try(t.Context(), key, "POST", "/v1/completions", map[string]any{"prompt": ids, "max_tokens": 1})
				if err == nil {
					err = json.Unmarshal([]byte(text), &c)
				}
				if err != nil || status != http.StatusOK {
					t.Errorf("%s: %d %s (%v)", key, status, text, err)
					return
				}
				most := 0
				for _, before := range own {
					most = max(most, common(before, ids))
				}
				if c.cached() > most || c.prompt() != len(ids) {
					t.Errorf("%s: %d of %d tokens were cached, and the user's own texts have at most %d in common with them", key, c.cached(), c.prompt(), most)
				}
				own = append(own, ids)
				read[u] += c.prompt() - c.cached()
			}
		}()
	}
	all.Wait()
	if fed := s.metric(t, "rwkv_fed_tokens_total", users[0]); int(fed) != read[0]+read[1]+read[2] {
		t.Errorf("the model was fed %v tokens, the answers tell of %v", fed, read)
	}
	if hits := s.metric(t, "rwkv_cache_hits_total", users[0]); hits < float64(n) {
		t.Errorf("only %v requests found something", hits)
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// common returns how many ids two lists begin with alike.
func common(a, b []int) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}
