package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	client "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"

	"github.com/rwkv-gpu/rwkv-gpu/server"
)

// official returns OpenAI's own client for a server.
func (s *served) official() client.Client {
	return client.NewClient(option.WithBaseURL(s.URL+"/v1"), option.WithAPIKey("none"), option.WithMaxRetries(0))
}

func TestModels(t *testing.T) {
	c := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.What.Aliases = []string{"mine", "org/mine"}
	}).official()
	list, err := c.Models.List(t.Context())
	if err != nil || len(list.Data) != 1 || list.Data[0].ID != "rwkv-test" || list.Data[0].Created != 1e9 {
		t.Errorf("%+v, %v", list, err)
	}
	for _, name := range []string{"rwkv-test", "mine", "org/mine"} { // programs look for the name that they asked for
		if m, err := c.Models.Get(t.Context(), name); err != nil || m.ID != name || m.Created != 1e9 || m.OwnedBy != "rwkv-gpu" {
			t.Errorf("%q: %+v, %v", name, m, err)
		}
	}
	var e *client.Error
	if _, err := c.Models.Get(t.Context(), "other"); !errors.As(err, &e) || e.StatusCode != http.StatusNotFound || e.Code != "model_not_found" {
		t.Errorf("%v", err)
	}
}

func promptOf(texts ...string) client.CompletionNewParamsPromptUnion {
	if len(texts) == 1 {
		return client.CompletionNewParamsPromptUnion{OfString: client.String(texts[0])}
	}
	return client.CompletionNewParamsPromptUnion{OfArrayOfStrings: texts}
}

func TestCompletion(t *testing.T) {
	s := serve(t, nil)
	c := s.official()
	for _, test := range []struct {
		name           string
		p              client.CompletionNewParams
		texts, reasons []string
		drawn          int64
	}{
		{"whole", client.CompletionNewParams{Prompt: promptOf("Once"), MaxTokens: client.Int(100)}, []string{" there was a fox. The end"}, []string{"stop"}, 7},
		{"length", client.CompletionNewParams{Prompt: promptOf("Once"), MaxTokens: client.Int(2)}, []string{" there was"}, []string{"length"}, 2},
		{"stop", client.CompletionNewParams{Prompt: promptOf("Once"), Stop: client.CompletionNewParamsStopUnion{OfString: client.String(" fox")}}, []string{" there was a"}, []string{"stop"}, 4},
		{"echo", client.CompletionNewParams{Prompt: promptOf("Once"), Echo: client.Bool(true), MaxTokens: client.Int(1)}, []string{"Once there"}, []string{"length"}, 1},
		{"echo alone", client.CompletionNewParams{Prompt: promptOf("Once"), Echo: client.Bool(true), MaxTokens: client.Int(0)}, []string{"Once"}, []string{"length"}, 0},
		{"several", client.CompletionNewParams{Prompt: promptOf("Once", "Twice"), N: client.Int(2), MaxTokens: client.Int(1)}, []string{" there", " there", " there", " there"}, []string{"length", "length", "length", "length"}, 4},
		{"best of", client.CompletionNewParams{Prompt: promptOf("Once"), BestOf: client.Int(3), MaxTokens: client.Int(1)}, []string{" there"}, []string{"length"}, 3},
		{"ids", client.CompletionNewParams{Prompt: client.CompletionNewParamsPromptUnion{OfArrayOfTokenArrays: [][]int64{{1, 2}, {0}}}, MaxTokens: client.Int(1)}, []string{" there", " there"}, []string{"length", "length"}, 2},
	} {
		test.p.Model = "rwkv-test"
		got, err := c.Completions.New(t.Context(), test.p)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		streamed := c.Completions.NewStreaming(t.Context(), test.p)
		texts, reasons := make([]string, len(test.texts)), make([]string, len(test.texts))
		for test.name != "best of" && streamed.Next() {
			for _, choice := range streamed.Current().Choices {
				texts[choice.Index] += choice.Text
				if choice.FinishReason != "" {
					reasons[choice.Index] = string(choice.FinishReason)
				}
			}
		}
		streamed.Close()
		if len(got.Choices) != len(test.texts) || got.Usage.CompletionTokens != test.drawn || got.Usage.TotalTokens != got.Usage.PromptTokens+test.drawn {
			t.Errorf("%s: %d choices, %+v", test.name, len(got.Choices), got.Usage)
			continue
		}
		for i, choice := range got.Choices {
			if choice.Text != test.texts[i] || string(choice.FinishReason) != test.reasons[i] || choice.Index != int64(i) {
				t.Errorf("%s: choice %d: %q, %q", test.name, i, choice.Text, choice.FinishReason)
			}
			if test.name != "best of" && (texts[i] != test.texts[i] || reasons[i] != test.reasons[i] || streamed.Err() != nil) {
				t.Errorf("%s, in a stream: choice %d: %q, %q, %v", test.name, i, texts[i], reasons[i], streamed.Err())
			}
		}
	}
	asked := s.model.Asked()
	seeds := map[uint64]bool{}
	for _, r := range asked {
		seeds[r.Params.Seed] = true
	}
	if len(seeds) != len(asked) {
		t.Errorf("%d requests without a seed have %d seeds", len(asked), len(seeds))
	}
}

func TestSettings(t *testing.T) {
	s := serve(t, nil)
	_, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a","n":2,"seed":7,"temperature":0.5,"top_p":0.25,"top_k":3,"min_p":0.125,"presence_penalty":1,"frequency_penalty":-1,"penalty_decay":0.5,"logit_bias":{"5":-100},"cache":false}`)
	asked := s.model.Asked()
	if len(asked) != 2 || !asked[0].Cold {
		t.Fatalf("%+v; %s", asked, body)
	}
	for i, r := range asked {
		p := r.Params
		if p.Seed != uint64(7+i) || p.Temperature != 0.5 || p.TopP != 0.25 || p.TopK != 3 || p.MinP != 0.125 || p.Presence != 1 || p.Frequency != -1 || p.PenaltyDecay != 0.5 || len(p.Bias) != 1 || p.Bias[5] != -100 {
			t.Errorf("%+v", p)
		}
	}
	s.call(t, "POST", "/v1/completions", `{"prompt":"","temperature":0}`)
	last := s.model.Asked()[2]
	if p := last.Params; p.TopP != 0.85 || p.PenaltyDecay != 0.996 || p.Temperature != 0 || len(last.IDs) != 1 || last.IDs[0] != 0 {
		t.Errorf("a preset with one field changed: %+v of %v", p, last.IDs)
	}
}

// Log-probabilities, with the prompt's, as an evaluation harness reads them.
func TestEchoLogprobs(t *testing.T) {
	s := serve(t, nil)
	tok := s.model.Tok
	ids, err := tok.AppendEncode(nil, []byte("Once upon"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(ids)
	_, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":[`+string(text)+`],"echo":true,"logprobs":1,"max_tokens":1,"temperature":0,"seed":1234}`)
	var got openai.Completion
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	l := got.Choices[0].Logprobs
	if n := len(ids) + 1; len(l.Tokens) != n || len(l.Token) != n || len(l.Top) != n || len(l.Offsets) != n || got.Choices[0].Text != "Once upon there" {
		t.Fatalf("%+v", got.Choices[0])
	}
	at := 0
	for i, name := range l.Tokens {
		if l.Offsets[i] != at {
			t.Errorf("token %d begins at %d, want %d", i, l.Offsets[i], at)
		}
		at += len(name)
		if i == 0 {
			if l.Token[0] != nil || l.Top[0] != nil {
				t.Errorf("the first token: %v, %v", l.Token[0], l.Top[0])
			}
			continue
		}
		if _, there := l.Top[i][name]; !there {
			t.Errorf("token %d: %q is not among %v", i, name, l.Top[i])
		}
		if i < len(ids) && *l.Token[i] != scripted.Logprob(ids[i]) {
			t.Errorf("token %d: %v", i, *l.Token[i])
		}
	}
	if strings.Join(l.Tokens, "") != got.Choices[0].Text {
		t.Errorf("%q", l.Tokens)
	}
	if r := s.model.Asked()[0]; !r.Prompted || !r.Logprobs || r.Top != 1 {
		t.Errorf("%+v", r)
	}
}

// Bytes that are no text have a name that is.
func TestByteTokens(t *testing.T) {
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Answer = func(*api.Request, string) (string, bool) { return "€", true }
	})
	_, _, body := s.call(t, "POST", "/v1/completions", `{"prompt":"a","logprobs":0}`)
	var got openai.Completion
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if c := got.Choices[0]; c.Text != "€" || strings.Join(c.Logprobs.Tokens, " ") != `bytes:\xe2 bytes:\x82 bytes:\xac <|endoftext|>` {
		t.Errorf("%q, %q", c.Text, c.Logprobs.Tokens)
	}
}

// The end of a text is a token like others for programs that count them: an evaluation harness leaves out the last one,
// which it had drawn for nothing. A chat does not tell of it.
func TestEndIsToken(t *testing.T) {
	s := answers(t, "")
	for _, stream := range []bool{false, true} {
		_, _, body := s.call(t, "POST", "/v1/completions", fmt.Sprintf(`{"prompt":[5,6,7],"echo":true,"logprobs":1,"max_tokens":1,"stream":%v}`, stream))
		var tokens []string
		var likely []*float32
		for event := range strings.SplitSeq(strings.TrimSpace(body), "\n\n") {
			var got openai.Completion
			if event == "data: [DONE]" {
				continue
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(event, "data: ")), &got); err != nil {
				t.Fatalf("%v: %s", err, event)
			}
			if l := got.Choices[0].Logprobs; l != nil {
				tokens, likely = append(tokens, l.Tokens...), append(likely, l.Token...)
			}
		}
		if len(tokens) != 4 || tokens[3] != "<|endoftext|>" || likely[3] == nil || *likely[3] != scripted.Logprob(0) {
			t.Errorf("stream %v: %q: %s", stream, tokens, body)
		}
		_, _, body = s.call(t, "POST", "/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":"Hi"}],"logprobs":true,"stream":%v}`, stream))
		if strings.Contains(body, "endoftext") {
			t.Errorf("stream %v: a chat tells %s", stream, body)
		}
	}
}
