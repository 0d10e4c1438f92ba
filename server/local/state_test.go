package local

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// client asks a server with the demo model behind it.
type client struct {
	*testing.T
	m *Model
	s *server.Server
}

func newClient(t *testing.T, m *Model, dir string) *client {
	t.Helper()
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	o := chat.Options{Dialect: dialect, Most: 4096}
	if o.Forms, err = grammars.New(m.Tokenizer(), m.Info().Vocab); err != nil {
		t.Fatal(err)
	}
	if o.States, err = states.Open(m, states.Options{Dir: dir}, func(path string, err error) { t.Errorf("%s: %v", path, err) }); err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Routes: openai.New(m, o).Routes(), Fail: openai.Fail, Health: m.Health, Keys: new(keys.Ring), MaxBody: 1 << 20,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: server.NewMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, m, s}
}

// do sends a request and returns the status and the answer.
func (c *client) do(method, path string, body []byte) (int, []byte) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Host = "localhost"
	c.s.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

// ask sends a request that is to succeed, and reads its answer. It returns how many tokens the model was fed.
func (c *client) ask(v any, path, body string) (fed int) {
	c.Helper()
	before := c.m.service.Stats().Schedule.Fed
	status, answer := c.do("POST", path, []byte(body))
	if status != http.StatusOK {
		c.Fatalf("%s %s: %d %s", path, body, status, answer)
	}
	if err := json.Unmarshal(answer, v); err != nil {
		c.Fatal(err)
	}
	return c.m.service.Stats().Schedule.Fed - before
}

// content returns the file of a state.
func (c *client) content(id string) []byte {
	c.Helper()
	status, file := c.do("GET", "/v1/states/"+id+"/content", nil)
	if status != http.StatusOK {
		c.Fatalf("%d %s", status, file)
	}
	return file
}

func messages(said ...string) string {
	var list []map[string]string
	for i, text := range said {
		list = append(list, map[string]string{"role": []string{"user", "assistant"}[i%2], "content": text})
	}
	text, _ := json.Marshal(list)
	return `"messages":` + string(text)
}

// A chat that goes on from the state behind its last answer says what it would say if all of it were sent, and the model
// is fed the new tokens alone. The state is that of the whole conversation to the last bit.
func TestChatFromState(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "folder": t.TempDir()} {
		c := newClient(t, open(t, 2, Options{Completion: completion.Options{Cache: statecache.Options{Host: 64 << 20}}}), dir)
		said, from := []string{"Tell me of a girl who has a red ball and a little dog."}, openai.State{}
		const settings = `,"temperature":0,"max_tokens":24,"stop":["."]`
		for turn := range 3 {
			var whole, next openai.Chat
			c.ask(&whole, "/v1/chat/completions", "{"+messages(said...)+settings+"}")
			body := "{" + messages(said[len(said)-1]) + settings
			if from.ID != "" {
				body += `,"state":"` + from.ID + `"`
				var cold openai.Chat
				fed := c.ask(&cold, "/v1/chat/completions", body+`,"cache":false}`)
				var rendered struct{ Tokens []int }
				c.ask(&rendered, "/v1/chat/completions/render", body+"}")
				u := cold.Usage
				if n := len(rendered.Tokens); fed != n || u.Prompt-u.Details.Cached != n || u.Details.Cached != from.Tokens || u.Prompt != whole.Usage.Prompt {
					t.Errorf("%s, turn %d: %d tokens fed, %+v from a state of %d with %d new ones; whole %+v", name, turn, fed, u, from.Tokens, n, whole.Usage)
				}
			}
			c.ask(&next, "/v1/chat/completions", body+`,"return_state":true}`)
			answer := *whole.Choices[0].Message.Content
			if got := *next.Choices[0].Message.Content; got != answer || answer == "" {
				t.Errorf("%s, turn %d: %q from a state, %q without", name, turn, got, answer)
			}
			said = append(said, answer)
			var sent openai.State
			c.ask(&sent, "/v1/states", "{"+messages(said...)+"}")
			if !bytes.Equal(c.content(sent.ID), c.content(next.State)) {
				t.Errorf("%s, turn %d: the state behind the answer is not that of the whole conversation", name, turn)
			}
			if status, text := c.do("GET", "/v1/states/"+next.State, nil); status != http.StatusOK || json.Unmarshal(text, &from) != nil {
				t.Fatalf("%d %s", status, text)
			}
			said = append(said, "And what did the dog do then?")
		}
	}
}

// A text that goes on from the state behind an answer, however that ended, has the tokens that it has without a break, with
// or without a cache, to the last bit of their log-probabilities.
func TestTextFromState(t *testing.T) {
	m := open(t, 2, Options{Completion: completion.Options{Cache: statecache.Options{Host: 64 << 20}}})
	store := states.New(m, states.Options{})
	whole, _, _ := all(t, m, api.Request{Segments: said("Once upon a time"), Params: greedy(), Max: 40})
	for _, c := range []struct {
		name, stop string
		max        int
		more       string
		cold       bool
	}{
		{"length", "", 7, "", false},
		{"length, and more", "", 7, " The dog", false},
		{"length, cold", "", 7, "", true},
		{"one token", "", 1, "", false},
		{"stop", whole[20:27], 40, " The dog", false},
		{"stop in a token", whole[21:27], 40, " The dog", false},
		{"stop, cold", whole[22:30], 40, " The dog", true},
		{"nothing", "", 0, " there", false},
	} {
		r := api.Request{User: c.name, Segments: said("Once upon a time"), Params: greedy(), Max: c.max, Whole: true, Cold: c.cold}
		if c.stop != "" {
			r.Stop = []string{c.stop}
		}
		o := chat.Options{States: store}
		call := &api.Call{Request: httptest.NewRequest("GET", "/", nil), User: c.name}
		span, err := o.Span(m, call, "", true)
		if err != nil {
			t.Fatal(err)
		}
		text, _, result := all(t, m, r)
		id, err := span.AfterText(&r, result)
		if err != nil {
			t.Fatal(err)
		}
		span.End()
		kept, failed := store.Get(c.name, id)
		if failed != nil {
			t.Fatal(failed)
		}
		ids, failed := m.Tokenizer().AppendEncode(slices.Clone(result.Whole), []byte(result.Rest))
		if failed != nil {
			t.Fatal(failed)
		}
		if got := string(tokenizer.Decode(m.Tokenizer(), ids)); got != "Once upon a time"+text {
			t.Errorf("%s: the state is of %q, the text is %q", c.name, got, text)
		}
		if n := kept.Tokens; n != len(ids) && (n != len(ids)-1 || kept.Pending != ids[n]) || (kept.Pending != api.NoToken) != (n < len(ids)) {
			t.Errorf("%s: %d of %d tokens were read, %d waits", c.name, n, len(ids), kept.Pending)
		}
		read, failed := m.State(t.Context(), &api.Request{IDs: ids[:kept.Tokens], Cold: true})
		if failed != nil {
			t.Fatal(failed)
		}
		if !slices.EqualFunc(read.Data, kept.Data, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			t.Errorf("%s: the state is another one than after the same tokens without a break", c.name)
		}
		added, failed := m.Tokenizer().AppendEncode([]int{}, []byte(c.more))
		if failed != nil {
			t.Fatal(failed)
		}
		want, tokens, wanted := all(t, m, api.Request{IDs: slices.Concat(ids, added), Params: greedy(), Max: 12, Logprobs: true, Top: 2, Cold: true})
		for range 2 { // and again, with what the first left in the cache
			got, same, r := all(t, m, api.Request{User: c.name, State: kept, IDs: added, Params: greedy(), Max: 12, Logprobs: true, Top: 2})
			if got != want || fmt.Sprint(same) != fmt.Sprint(tokens) || r.Prompt != wanted.Prompt || r.Cached < kept.Tokens {
				t.Errorf("%s: %q (%+v), without a break %q (%+v)", c.name, got, r, want, wanted)
			}
		}
		if prompted := c.more != ""; prompted {
			_, told, _ := all(t, m, api.Request{State: kept, IDs: added, Params: greedy(), Max: 1, Logprobs: true, Prompted: true})
			for i, id := range added {
				if told[i].ID != id || !told[i].Prompt {
					t.Errorf("%s: token %d of the prompt is told as %+v", c.name, i, told[i])
				}
			}
		}
	}
}

// The file of a state is that of --state-out. What is no whole state of the model is refused with the field, what was
// wanted and what was there, and changes nothing.
func TestStateFiles(t *testing.T) {
	c := newClient(t, open(t, 1, Options{}), t.TempDir())
	var o, empty, put openai.State
	c.ask(&o, "/v1/states", `{"prompt":"Once upon a time there was a fox","name":"fox"}`)
	c.ask(&empty, "/v1/states", `{}`)
	file := c.content(o.ID)
	own, err := state.Decode(c.m.engine.Model, "file", file)
	if err != nil || own.Tokens != o.Tokens || int64(len(file)) != o.Bytes {
		t.Fatalf("%v: %+v", err, o)
	}
	other := func(list []*tensor.Tensor) []byte {
		f, err := weights.Parse("other", weightstest.Safetensors(list, nil))
		if err != nil {
			t.Fatal(err)
		}
		return stateOf(t, f)
	}
	changed := slices.Clone(demo.Weights())
	changed[len(changed)-2] ^= 1
	f, err := weights.Parse("changed", changed)
	if err != nil {
		t.Fatal(err)
	}
	own.Sampler = []byte("counts")
	counted, err := state.Encode(c.m.engine.Model, own)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(file)
	flipped[len(flipped)-9] ^= 4
	path := "/v1/states/" + empty.ID + "/content"
	for name, bad := range map[string]struct {
		file []byte
		want []string
	}{
		"nothing":       {nil, []string{"content: "}},
		"a text":        {[]byte("Once upon a time"), []string{"content: "}},
		"other sizes":   {other(weightstest.RWKV7(weightstest.Tiny, tensor.F16, 1)), []string{"content: config_hash: want ", "got "}},
		"other version": {other(weightstest.RWKV("v4", weightstest.Tiny, tensor.F16, 1)), []string{`content: model: want "v7", got "v4"`}},
		"other weights": {stateOf(t, f), []string{`content: model_id: want "`, `which is demo, got "`, "other weights"}},
		"one bit":       {flipped, []string{"content: data: want the SHA-256"}},
		"half":          {file[:len(file)/2], []string{"content: "}},
		"a sampler":     {counted, []string{"content: sampler: ", "stored sampler"}},
	} {
		status, text := c.do("PUT", path, bad.file)
		var e struct {
			Error struct{ Message, Param, Code string }
		}
		if err := json.Unmarshal(text, &e); err != nil || status != http.StatusBadRequest || e.Error.Param != "content" || e.Error.Code != "invalid_state" {
			t.Errorf("%s: %d %s", name, status, text)
		}
		for _, part := range bad.want {
			if !strings.Contains(e.Error.Message, part) {
				t.Errorf("%s: want %q in %q", name, part, e.Error.Message)
			}
		}
	}
	if status, _ := c.do("PUT", path, make([]byte, c.m.MostState()+1)); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large file: %d", status)
	}
	if status, text := c.do("PUT", path, file); status != http.StatusOK || json.Unmarshal(text, &put) != nil || put.Tokens != o.Tokens || put.Bytes != o.Bytes {
		t.Errorf("%d: %s", status, text)
	}
	if !bytes.Equal(c.content(empty.ID), file) {
		t.Error("what was put does not come back")
	}
}

// A state that says it has read as many tokens as one may counts so for its client, and not for the server.
func TestStateOfManyTokens(t *testing.T) {
	c := newClient(t, open(t, 1, Options{}), t.TempDir())
	data, err := c.m.engine.Model.Program.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	file, err := state.Encode(c.m.engine.Model, &state.State{Data: data, Tokens: state.MostTokens, Pending: state.None})
	if err != nil {
		t.Fatal(err)
	}
	var o, more openai.State
	c.ask(&o, "/v1/states", `{}`)
	if status, text := c.do("PUT", "/v1/states/"+o.ID+"/content", file); status != http.StatusOK {
		t.Fatalf("%d %s", status, text)
	}
	var a openai.Completion
	c.ask(&a, "/v1/completions", fmt.Sprintf(`{"state":%q,"prompt":"Once upon","max_tokens":3,"return_state":true}`, o.ID))
	c.ask(&more, "/v1/states", fmt.Sprintf(`{"from":%q,"prompt":" a time"}`, a.State))
	if c.content(more.ID); a.Usage.Prompt <= state.MostTokens || more.Tokens != state.MostTokens {
		t.Errorf("%+v, then %+v", a.Usage, more)
	}
	_, text := c.do("GET", "/metrics", nil)
	for _, name := range []string{"prompt", "cached"} {
		_, rest, _ := strings.Cut(string(text), "\nrwkv_"+name+"_tokens_total ")
		value, _, _ := strings.Cut(rest, "\n")
		if n, err := strconv.Atoi(value); err != nil || n > 100 {
			t.Errorf("rwkv_%s_tokens_total %s", name, value)
		}
	}
}

// A state outlives the loss of what ran the model.
func TestStateAfterReopen(t *testing.T) {
	m := open(t, 1, Options{})
	s, err := m.State(t.Context(), &api.Request{Segments: said("Once upon a time")})
	if err != nil {
		t.Fatal(err)
	}
	r := api.Request{State: s, Segments: said(" there"), Params: greedy(), Max: 8, Cold: true}
	want, _, before := all(t, m, r)
	if err := m.engine.Reopen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _, after := all(t, m, r); got != want || after.Prompt != before.Prompt || after.Cached != before.Cached {
		t.Errorf("%q (%+v), before %q (%+v)", got, after, want, before)
	}
}

// stateOf returns the file of the first state of the model in a file.
func stateOf(t *testing.T, f *weights.File) []byte {
	t.Helper()
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Program.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	file, err := state.Encode(m, &state.State{Data: data, Pending: state.None})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// The counts of a sampler that come with a file hold for the answer, as with generate --state.
func TestStateSampler(t *testing.T) {
	m := open(t, 1, Options{})
	s, err := m.State(t.Context(), &api.Request{Segments: said("Once upon a time")})
	if err != nil {
		t.Fatal(err)
	}
	p := greedy()
	p.Frequency = 1000
	_, tokens, _ := all(t, m, api.Request{State: s, Segments: said(" there"), Params: p, Max: 3, Logprobs: true})
	smp, err := sample.New(p, sample.NewVocabulary(m.Info().Vocab, m.Tokenizer()))
	if err == nil {
		err = smp.Accept(tokens[0].ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	if s.Sampler, err = smp.MarshalBinary(); err != nil {
		t.Fatal(err)
	}
	file, err := m.EncodeState(s)
	if err != nil {
		t.Fatal(err)
	}
	counted, err := m.DecodeState(file)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := all(t, m, api.Request{State: counted, Segments: said(" there"), Params: p, Max: 3, Logprobs: true})
	for _, token := range after {
		if token.ID == tokens[0].ID {
			t.Errorf("token %d was counted before the state, and comes again", token.ID)
		}
	}
}
