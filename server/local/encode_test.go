package local_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// counting is a tokenizer that counts how often it encoded each text.
type counting struct {
	tokenizer.Tokenizer
	mu    sync.Mutex
	texts map[string]int
}

func (c *counting) AppendEncode(dst []int, text []byte) ([]int, error) {
	c.mu.Lock()
	c.texts[string(text)]++
	c.mu.Unlock()
	return c.Tokenizer.AppendEncode(dst, text)
}

// However many answers a prompt gets, it is encoded once.
func TestPromptEncodedOnce(t *testing.T) {
	var tok *counting
	web := serveDemo(t, func(t tokenizer.Tokenizer) tokenizer.Tokenizer {
		tok = &counting{Tokenizer: t, texts: map[string]int{}}
		return tok
	})
	for _, c := range []struct{ path, body, text string }{
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"A story of owls"}],"n":6,"max_tokens":2}`, " A story of owls"},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"A"},{"role":"assistant","content":"An answer of old"},{"role":"user","content":"B"}],"n":6,"max_tokens":2}`, " An answer of old"},
		{"/v1/completions", `{"prompt":"A story of mice","best_of":6,"max_tokens":2}`, "A story of mice"},
		{"/v1/completions", `{"prompt":["A story of bats","A story of rats"],"n":3,"echo":true,"logprobs":1,"max_tokens":2}`, "A story of rats"},
		{"/v1/completions", `{"prompt":"A story of","suffix":"They lived on.","n":4,"max_tokens":2}`, "They lived on."},
	} {
		r, err := http.Post(web.URL+c.path, "", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK {
			t.Fatalf("%d: %s (%v)", r.StatusCode, body, err)
		}
		tok.mu.Lock()
		if n := tok.texts[c.text]; n != 1 {
			t.Errorf("%s: %q was encoded %d times", c.body, c.text, n)
		}
		tok.mu.Unlock()
	}
}
