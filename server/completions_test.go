package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// complete asks for a completion, which has to succeed.
func (s *served) complete(t *testing.T, body string) openai.Completion {
	t.Helper()
	status, _, text := s.call(t, "POST", "/v1/completions", body)
	var got openai.Completion
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 {
		t.Fatalf("%s: %d, %v: %s", body, status, err, text)
	}
	return got
}

// pieces asks for a completion in a stream, which has to end well, and returns its pieces.
func (s *served) pieces(t *testing.T, body string) (list []openai.Completion) {
	t.Helper()
	status, _, text := s.call(t, "POST", "/v1/completions", body)
	events, ended := strings.CutSuffix(text, "data: [DONE]\n\n")
	if status != 200 || !ended {
		t.Fatalf("%s: %d: %q", body, status, text)
	}
	for event := range strings.SplitSeq(strings.TrimSpace(events), "\n\n") {
		var piece openai.Completion
		if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &piece); err != nil {
			t.Fatalf("%q: %v", event, err)
		}
		list = append(list, piece)
	}
	return list
}

// A prompt of ids may end within a character. Its echo is a text all the same.
func TestEchoHalfCharacter(t *testing.T) {
	s := serve(t, nil)
	half := s.model.Tok.Bytes(233) // the first byte of a character
	if len(half) != 1 || half[0] < 0xc2 {
		t.Fatalf("token 233 is %q", half)
	}
	const want = "\ufffd there"
	if got := s.complete(t, `{"prompt":[[233]],"echo":true,"max_tokens":1}`).Choices[0].Text; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	text := ""
	for _, piece := range s.pieces(t, `{"prompt":[[233]],"echo":true,"max_tokens":1,"stream":true}`) {
		text += piece.Choices[0].Text
	}
	if text != want {
		t.Errorf("in a stream: %q, want %q", text, want)
	}
}

// A token's place counts from the start of the prompt, whether or not the prompt is told of, whole and in a stream.
func TestTextOffsets(t *testing.T) {
	s := serve(t, nil)
	for body, want := range map[string][]int{
		`{"prompt":"Oncé","logprobs":0,"max_tokens":2`:               {4, 10},
		`{"prompt":"a","echo":true,"logprobs":0,"max_tokens":2`:      {0, 1, 7},
		`{"prompt":["a","bcd"],"n":2,"logprobs":0,"max_tokens":1`:    {1},
		`{"prompt":[[233]],"logprobs":0,"echo":false,"max_tokens":1`: {1},
	} {
		if got := s.complete(t, body+"}").Choices[0].Logprobs.Offsets; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", body, got, want)
		}
		got := []int{}
		for _, piece := range s.pieces(t, body+`,"stream":true}`) {
			if c := piece.Choices[0]; c.Index == 0 && c.Logprobs != nil {
				got = append(got, c.Logprobs.Offsets...)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s in a stream: %v, want %v", body, got, want)
		}
	}
}

// The lists of an answer without tokens are empty, and not null.
func TestNoLogprobs(t *testing.T) {
	s := serve(t, nil)
	_, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a","logprobs":1,"max_tokens":0}`)
	const want = `"logprobs":{"tokens":[],"token_logprobs":[],"top_logprobs":[],"text_offset":[]}`
	if !strings.Contains(body, want) {
		t.Errorf("want %s in %s", want, body)
	}
}

// An answer without tokens is no better than one that has some.
func TestBestOfIsNotEmpty(t *testing.T) {
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Answer = func(r *api.Request, _ string) (string, bool) {
			if r.Params.Seed == 7 {
				return "", true
			}
			return " there", true
		}
	})
	if got := s.complete(t, `{"prompt":"a","best_of":2,"seed":7}`).Choices[0].Text; got != " there" {
		t.Errorf("the best is %q", got)
	}
}

// Some clients send -1 for no bound on the tokens that are drawn from.
func TestTopKOff(t *testing.T) {
	s := serve(t, nil)
	for path, body := range map[string]string{"/v1/completions": `{"prompt":"a","top_k":-1}`,
		"/v1/chat/completions": `{"messages":[{"role":"user","content":"a"}],"top_k":-1}`} {
		if status, _, text := s.call(t, "POST", path, body); status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	for _, r := range s.model.Asked() {
		if err := r.Params.Validate(); err != nil || r.Params.TopK != 0 {
			t.Errorf("%d: %v", r.Params.TopK, err)
		}
	}
	status, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a","top_k":-2}`)
	wantError(t, "top_k", status, 400, body, "top_k", "-1 to")
}

// A client does not know the server's limit of tokens, so what is above it, and -1, mean the limit.
func TestMostTokens(t *testing.T) {
	s := serve(t, func(_ *server.Options, m *scripted.Model, o *chat.Options) { o.Most = 5 })
	for _, field := range []struct{ path, body string }{
		{"/v1/completions", `{"prompt":"a","max_tokens":%d}`},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"max_tokens":%d}`},
		{"/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"max_completion_tokens":%d}`},
		{"/v1/responses", `{"input":"a","max_output_tokens":%d}`},
	} {
		for sent, want := range map[int]int{-1: 5, 3: 3, 5: 5, 6: 5, 1 << 30: 5} {
			status, _, body := s.call(t, "POST", field.path, fmt.Sprintf(field.body, sent))
			asked := s.model.Asked()
			if status != 200 || len(asked) == 0 || asked[len(asked)-1].Max != want {
				t.Errorf("%s with %d: want at most %d tokens: %d %s", field.path, sent, want, status, body)
			}
		}
		if status, _, body := s.call(t, "POST", field.path, fmt.Sprintf(field.body, -2)); status != 400 {
			t.Errorf("%s with -2: %d %s", field.path, status, body)
		}
	}
	s.complete(t, `{"prompt":"a"}`)
	if asked := s.model.Asked(); asked[len(asked)-1].Max != 5 {
		t.Errorf("without max_tokens: %d", asked[len(asked)-1].Max)
	}
}

// What all answers to a request read together is bounded, since each has a prompt of its own in memory.
func TestManyLongAnswers(t *testing.T) {
	s := serve(t, func(o *server.Options, _ *scripted.Model, _ *chat.Options) { o.MaxBody = 1 << 20 })
	ids, text := strings.Repeat("1,", 1<<17)+"1", strings.Repeat("x", 1<<19)
	for body, param := range map[string]string{
		`{"prompt":[` + ids + `],"n":60,"max_tokens":1}`:                                "prompt",
		`{"prompt":"` + text + `","best_of":60,"max_tokens":1}`:                         "prompt",
		`{"prompt":["` + text + `","x"],"n":60,"max_tokens":1}`:                         "prompt",
		`{"messages":[{"role":"user","content":"` + text + `"}],"n":60,"max_tokens":1}`: "messages",
	} {
		path := "/v1/completions"
		if strings.Contains(body, "messages") {
			path = "/v1/chat/completions"
		}
		status, _, answer := s.call(t, "POST", path, body)
		wantError(t, body[:20], status, 400, answer, param, "for 60 answers")
	}
}

// A model whose dialect knows gaps fills in what stands before a suffix.
func TestSuffix(t *testing.T) {
	s := serve(t, nil)
	const body = `{"prompt":"def f():","suffix":"return x","echo":true,"max_tokens":1,"stop":"z"}`
	if got := s.complete(t, body).Choices[0].Text; got != "def f(): there" {
		t.Errorf("%q", got)
	}
	gap, err := prompt.Dialects()[0].Fill("def f():", "return x")
	if err != nil {
		t.Fatal(err)
	}
	r := s.model.Asked()[0]
	if segmentsText(r) != gap.Text() || !slices.Equal(r.Stop, append(gap.Stop, "z")) {
		t.Errorf("%q with stops %q, want %q", segmentsText(r), r.Stop, gap.Text())
	}
	world := serve(t, func(_ *server.Options, _ *scripted.Model, o *chat.Options) {
		if o.Dialect, err = prompt.ByName("template", prompt.World); err != nil {
			t.Fatal(err)
		}
	})
	status, _, answer := world.call(t, "POST", "/v1/completions", body)
	wantError(t, "a dialect without gaps", status, 400, answer, "suffix", "none with the template")
}
