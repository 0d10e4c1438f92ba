package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
)

// ask sends a request that is to succeed, and reads from the answer what v has fields for.
func (s *served) ask(t *testing.T, v any, method, path, body string, head ...string) {
	t.Helper()
	status, _, text := s.call(t, method, path, body, head...)
	if status != http.StatusOK {
		t.Fatalf("%s %s %s: %d %s", method, path, body, status, text)
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
}

// state makes a state.
func (s *served) state(t *testing.T, body string, head ...string) (o openai.State) {
	t.Helper()
	s.ask(t, &o, "POST", "/v1/states", body, head...)
	return o
}

// contentOf returns what the scripted model has read in a state.
func (s *served) contentOf(t *testing.T, id string, head ...string) (f scripted.File, text string) {
	t.Helper()
	s.ask(t, &f, "GET", "/v1/states/"+id+"/content", "", head...)
	for _, id := range f.IDs {
		text += string(s.model.Tok.Bytes(id))
	}
	return f, text
}

// answering has the model answer with a text, which ends or goes on with itself again.
func answering(answer string, ends bool) func(*server.Options, *scripted.Model, *chat.Options) {
	return func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Answer = func(*api.Request, string) (string, bool) { return answer, ends }
	}
}

func TestStates(t *testing.T) {
	s := serve(t, nil)
	p := s.state(t, `{"prompt":"Once upon a time","name":"a story"}`)
	file, text := s.contentOf(t, p.ID)
	if text != "Once upon a time" || file.Pending != api.NoToken || !strings.HasPrefix(p.ID, "state_") || len(p.ID) < 28 || p.Object != "state" ||
		p.Tokens != len(file.IDs) || p.Bytes < 10 || p.Model != "rwkv-test" || p.Name != "a story" || p.Created == 0 {
		t.Errorf("%+v of %q", p, text)
	}
	talk := s.state(t, `{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}`)
	if _, text := s.contentOf(t, talk.ID); text != "System: Be kind.\n\nUser: Hi\n\nAssistant: Hello\n\n" {
		t.Errorf("a conversation: %q", text)
	}
	more := s.state(t, fmt.Sprintf(`{"from":%q,"messages":[{"role":"user","content":"Bye"}]}`, talk.ID))
	if _, text := s.contentOf(t, more.ID); !strings.HasSuffix(text, "Assistant: Hello\n\nUser: Bye\n\n") || more.Tokens <= talk.Tokens {
		t.Errorf("one that goes on: %q", text)
	}
	copied := s.state(t, fmt.Sprintf(`{"from":%q,"name":"b"}`, p.ID))
	var fork openai.State
	s.ask(t, &fork, "POST", "/v1/states/"+p.ID+"/fork", "")
	for _, o := range []openai.State{copied, fork} {
		if _, text := s.contentOf(t, o.ID); o.ID == p.ID || text != "Once upon a time" || o.Tokens != p.Tokens || o.Bytes != p.Bytes {
			t.Errorf("a copy: %+v of %q", o, text)
		}
	}
	if copied.Name != "b" || fork.Name != "" {
		t.Errorf("names %q, %q", copied.Name, fork.Name)
	}
	first := s.state(t, `{}`)
	if first.Tokens != 0 {
		t.Errorf("where all texts begin: %+v", first)
	}
	_, _, content := s.call(t, "GET", "/v1/states/"+p.ID+"/content", "")
	var put, got openai.State
	s.ask(t, &put, "PUT", "/v1/states/"+first.ID+"/content", content)
	s.ask(t, &got, "GET", "/v1/states/"+first.ID, "")
	if put.ID != first.ID || put.Tokens != p.Tokens || got != put {
		t.Errorf("put %+v, got %+v", put, got)
	}
	if _, text := s.contentOf(t, first.ID); text != "Once upon a time" {
		t.Errorf("what was put: %q", text)
	}
	var list openai.StateList
	s.ask(t, &list, "GET", "/v1/states", "")
	var ids []string
	for _, o := range list.Data {
		ids = append(ids, o.ID)
	}
	for _, o := range []openai.State{p, talk, more, copied, fork, first} {
		if !slices.Contains(ids, o.ID) {
			t.Errorf("%s is not in %v", o.ID, ids)
		}
	}
	var gone openai.DeletedState
	s.ask(t, &gone, "DELETE", "/v1/states/"+p.ID, "")
	if status, _, body := s.call(t, "GET", "/v1/states/"+p.ID, ""); !gone.Deleted || gone.ID != p.ID || status != http.StatusNotFound {
		t.Errorf("deleted: %+v, then %d %s", gone, status, body)
	}
	if _, text := s.contentOf(t, fork.ID); text != "Once upon a time" {
		t.Errorf("a copy of a deleted state: %q", text)
	}
}

// A text goes on from the state behind an answer as it would if all of it were sent, and reads its new tokens alone.
func TestCompletionStates(t *testing.T) {
	type answer struct {
		openai.Completion
		whole string // that the model was asked to go on with
	}
	for _, c := range []struct {
		name, answer string
		ends         bool
		first        string // fields
		text         string // of the state
		next         string // prompt
		waits        int    // tokens that wait to be read
	}{
		{"cut off", " there was a fox", false, `"max_tokens":3`, "Once upon a time there was a", " big", 1},
		{"cut off and nothing more", " there was a fox", false, `"max_tokens":3`, "Once upon a time there was a", "", 1},
		{"ended", " there was a fox.", true, `"max_tokens":30`, "Once upon a time there was a fox.", " And", 0},
		{"stopped", " there was a fox. The end", true, `"max_tokens":30,"stop":". The"`, "Once upon a time there was a fox", " And", 0},
		{"stopped in a token", " there was a fox. The end", true, `"max_tokens":30,"stop":"ox. The"`, "Once upon a time there was a f", " And", 0},
		{"nothing", " there", true, `"max_tokens":0`, "Once upon a time", " And", 0},
	} {
		s := serve(t, answering(c.answer, c.ends))
		ask := func(body string) (a answer) {
			s.ask(t, &a.Completion, "POST", "/v1/completions", "{"+body+"}")
			r := s.model.Asked()
			ids := []int{}
			if last := r[len(r)-1]; last.State != nil {
				for _, v := range last.State.Data {
					ids = append(ids, int(v))
				}
				if last.State.Pending != api.NoToken {
					ids = append(ids, last.State.Pending)
				}
			}
			for _, id := range ids {
				a.whole += string(s.model.Tok.Bytes(id))
			}
			a.whole += segmentsText(r[len(r)-1])
			return a
		}
		before := ask(`"prompt":"Once upon a time","return_state":true,` + c.first)
		if before.State == "" {
			t.Fatalf("%s: no state", c.name)
		}
		var o openai.State
		s.ask(t, &o, "GET", "/v1/states/"+before.State, "")
		after := ask(fmt.Sprintf(`"state":%q,"prompt":%q,"max_tokens":2`, before.State, c.next))
		if after.whole != c.text+c.next || after.State != "" {
			t.Errorf("%s: the model goes on with %q, want %q", c.name, after.whole, c.text+c.next)
		}
		new, err := s.model.Tok.AppendEncode(nil, []byte(c.next))
		if err != nil {
			t.Fatal(err)
		}
		if u := after.Usage; u.Details.Cached != o.Tokens || u.Prompt-u.Details.Cached != len(new)+c.waits {
			t.Errorf("%s: %+v after a state of %d tokens, with %d new and %d that wait", c.name, u, o.Tokens, len(new), c.waits)
		}
		// In a stream too, in the last piece alone.
		pieces := s.pieces(t, `{"stream":true,"prompt":"Once upon a time","return_state":true,`+c.first+`}`)
		for i, p := range pieces {
			if last := i == len(pieces)-1; (p.State != "") != last || last && p.Choices[0].Finish == nil {
				t.Errorf("%s: piece %d of %d: %+v", c.name, i, len(pieces), p)
			}
		}
		file, text := s.contentOf(t, pieces[len(pieces)-1].State)
		if file.Pending != api.NoToken {
			text += string(s.model.Tok.Bytes(file.Pending))
		}
		if text != c.text {
			t.Errorf("%s: the state of a stream has read %q", c.name, text)
		}
	}
}

// A conversation that goes on from a state is written as the same conversation sent whole, in each protocol.
func TestTalkStates(t *testing.T) {
	const whole = "System: Be kind.\n\nUser: Hi\n\nAssistant: Hello there.\n\n"
	for _, c := range []struct{ name, path, first, next, stream string }{
		{"chat", "/v1/chat/completions", `"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}]`,
			`"messages":[{"role":"user","content":"Bye"}]`, ""},
		{"responses", "/v1/responses", `"instructions":"Be kind.","input":"Hi"`, `"input":"Bye"`, ""},
		{"messages", "/v1/messages", `"max_tokens":50,"system":"Be kind.","messages":[{"role":"user","content":"Hi"}]`,
			`"max_tokens":50,"messages":[{"role":"user","content":"Bye"}]`, ""},
	} {
		for _, answer := range []string{" Hello there.\n\nUser: more", " Hello there. \n\nUser: more", " Hello there."} {
			s := serve(t, answering(answer, true))
			var a struct {
				ID, State string
			}
			s.ask(t, &a, "POST", c.path, "{"+c.first+`,"return_state":true}`)
			if a.State == "" {
				t.Fatalf("%s: no state", c.name)
			}
			if _, text := s.contentOf(t, a.State); text != whole {
				t.Errorf("%s: the state has read %q", c.name, text)
			}
			var b struct{ State string }
			s.ask(t, &b, "POST", c.path, fmt.Sprintf(`{%s,"state":%q,"return_state":true}`, c.next, a.State))
			r := s.model.Asked()
			if got := segmentsText(r[len(r)-1]); r[len(r)-1].State == nil || got != "User: Bye\n\nAssistant:" {
				t.Errorf("%s: then the model is asked to go on with %q", c.name, got)
			}
			if _, text := s.contentOf(t, b.State); text != whole+"User: Bye\n\nAssistant: Hello there.\n\n" {
				t.Errorf("%s: the next state has read %q", c.name, text)
			}
			_, _, events := s.call(t, "POST", c.path, fmt.Sprintf(`{%s,"state":%q,"return_state":true,"stream":true}`, c.next, a.State))
			at := strings.LastIndex(events, `"state":"state_`)
			if at < 0 || strings.Count(events, `"state":"state_`) != 1 {
				t.Fatalf("%s: events: %s", c.name, events)
			}
			id, _, _ := strings.Cut(events[at+len(`"state":"`):], `"`)
			if _, text := s.contentOf(t, id); text != whole+"User: Bye\n\nAssistant: Hello there.\n\n" {
				t.Errorf("%s: the state of a stream has read %q", c.name, text)
			}
		}
	}
}

// A response goes on from another one that began from a state.
func TestResponseAfterState(t *testing.T) {
	s := serve(t, answering(" Hello.", true))
	o := s.state(t, `{"messages":[{"role":"user","content":"Hi"}]}`)
	var a, b struct{ ID string }
	s.ask(t, &a, "POST", "/v1/responses", fmt.Sprintf(`{"input":"One","state":%q}`, o.ID))
	s.ask(t, &b, "POST", "/v1/responses", fmt.Sprintf(`{"input":"Two","previous_response_id":%q}`, a.ID))
	r := s.model.Asked()
	if got := segmentsText(r[1]); got != "User: One\n\nAssistant: Hello.\n\nUser: Two\n\nAssistant:" || r[1].State == nil {
		t.Errorf("%q from %v", got, r[1].State)
	}
	status, _, body := s.call(t, "POST", "/v1/responses", fmt.Sprintf(`{"input":"Two","previous_response_id":%q,"state":%q}`, a.ID, o.ID))
	wantError(t, "both", status, http.StatusBadRequest, body, "state", "none beside previous_response_id")
	s.ask(t, new(any), "DELETE", "/v1/states/"+o.ID, "")
	status, _, body = s.call(t, "POST", "/v1/responses", fmt.Sprintf(`{"input":"Three","previous_response_id":%q}`, b.ID))
	wantError(t, "a state that is gone", status, http.StatusNotFound, body, "previous_response_id", "not there any more")
}

// No other key sees, uses, changes or removes a state.
func TestStatesOfKeys(t *testing.T) {
	s := serve(t, func(o *server.Options, _ *scripted.Model, _ *chat.Options) {
		if err := o.Keys.Read(strings.NewReader("ann A\nbob B\n")); err != nil {
			t.Fatal(err)
		}
	})
	ann, bob := []string{"Authorization", "Bearer A"}, []string{"X-Api-Key", "B"}
	o := s.state(t, `{"prompt":"Once"}`, ann...)
	_, _, content := s.call(t, "GET", "/v1/states/"+o.ID+"/content", "", ann...)
	for _, id := range []string{o.ID, "state_" + strings.Repeat("A", 24), "x", "state_"} {
		for _, c := range []struct{ method, path, body, param string }{
			{"GET", "/v1/states/" + id, "", "id"},
			{"DELETE", "/v1/states/" + id, "", "id"},
			{"GET", "/v1/states/" + id + "/content", "", "id"},
			{"PUT", "/v1/states/" + id + "/content", content, "id"},
			{"POST", "/v1/states/" + id + "/fork", "{}", "id"},
			{"POST", "/v1/states", `{"from":"` + id + `"}`, "from"},
			{"POST", "/v1/states", `{"from":"` + id + `","prompt":"x"}`, "from"},
			{"GET", "/v1/states/" + id + "/picture", "", "id"},
			{"POST", "/v1/states/picture", `{"from":"` + id + `"}`, "from"},
			{"POST", "/v1/states/picture", `{"from":"` + id + `","prompt":"x"}`, "from"},
			{"POST", "/v1/completions", `{"prompt":"a","state":"` + id + `"}`, "state"},
			{"POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"state":"` + id + `"}`, "state"},
			{"POST", "/v1/responses", `{"input":"a","state":"` + id + `"}`, "state"},
		} {
			status, _, body := s.call(t, c.method, c.path, c.body, bob...)
			wantError(t, c.method+" "+c.path, status, http.StatusNotFound, body, c.param, "there is no state of this id")
			if strings.Contains(body, "ann") {
				t.Errorf("%s tells of others: %s", c.path, body)
			}
		}
		status, _, body := s.call(t, "POST", "/v1/messages", `{"max_tokens":9,"messages":[{"role":"user","content":"a"}],"state":"`+id+`"}`, bob...)
		if status != http.StatusNotFound || !strings.Contains(body, "not_found_error") {
			t.Errorf("messages: %d %s", status, body)
		}
	}
	var list openai.StateList
	if s.ask(t, &list, "GET", "/v1/states", "", bob...); len(list.Data) != 0 {
		t.Errorf("bob sees %+v", list)
	}
	if s.ask(t, &list, "GET", "/v1/states", "", ann...); len(list.Data) != 1 {
		t.Errorf("ann sees %+v", list)
	}
	if strings.Contains(s.log.String(), "Once") {
		t.Errorf("the log has a text: %s", s.log)
	}
}

func TestBadStates(t *testing.T) {
	s := serve(t, func(_ *server.Options, m *scripted.Model, p *chat.Options) {
		p.States = states.New(m, states.Options{Bytes: 2 << 10})
	})
	o := s.state(t, `{"prompt":"Once"}`)
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		param, part              string
	}{
		{"prompt and messages", "POST", "/v1/states", `{"prompt":"a","messages":[{"role":"user","content":"a"}]}`, 400, "messages", "none beside a prompt"},
		{"prompt", "POST", "/v1/states", `{"prompt":5}`, 400, "prompt", "want a string or a list of token ids, got a number"},
		{"ids", "POST", "/v1/states", `{"prompt":[1,99999999]}`, 400, "prompt[1]", "a token id from 0 to"},
		{"messages", "POST", "/v1/states", `{"messages":[{"role":"x","content":"a"}]}`, 400, "messages[0].role", "want"},
		{"template", "POST", "/v1/states", `{"template":"x","messages":[{"role":"user","content":"a"}]}`, 400, "template", "want one of"},
		{"name", "POST", "/v1/states", `{"name":"` + long + `"}`, 400, "name", "want at most 256 characters, got 300"},
		{"name of two lines", "POST", "/v1/states", `{"name":"a\nb"}`, 400, "name", "a control character"},
		{"model", "POST", "/v1/states", `{"model":"other"}`, 404, "model", "has the model"},
		{"fork's name", "POST", "/v1/states/" + o.ID + "/fork", `{"name":7}`, 400, "name", "want a string"},
		{"fork's body", "POST", "/v1/states/" + o.ID + "/fork", `x`, 400, "", "no JSON"},
		{"state of a number", "POST", "/v1/completions", `{"state":7}`, 400, "state", "want a string, got a number"},
		{"nothing to read", "POST", "/v1/completions", `{"state":"` + o.ID + `"}`, 400, "prompt", "at least one token"},
		{"several answers", "POST", "/v1/completions", `{"prompt":"a","n":2,"return_state":true}`, 400, "return_state", "true for 2"},
		{"several prompts", "POST", "/v1/completions", `{"prompt":["a","b"],"return_state":true}`, 400, "return_state", "true for 2"},
		{"several chats", "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"a"}],"n":3,"return_state":true}`, 400, "return_state", "true for 3"},
		{"no file", "PUT", "/v1/states/" + o.ID + "/content", `hello`, 400, "content", "form"},
		{"another model's", "PUT", "/v1/states/" + o.ID + "/content", `{"model":"other","ids":[1],"pending":-1}`, 400, "content", "model: rwkv-test, got other"},
		{"large", "PUT", "/v1/states/" + o.ID + "/content", strings.Repeat("x", 1<<20+1), 413, "", "larger than the 1048576 bytes"},
	} {
		status, _, body := s.call(t, c.method, c.path, c.body)
		wantError(t, c.name, status, c.status, body, c.param, c.part)
	}
	if _, text := s.contentOf(t, o.ID); text != "Once" {
		t.Errorf("after bad files the state has %q", text)
	}
	s.state(t, `{"prompt":"Twice"}`)
	status, _, body := s.call(t, "POST", "/v1/states", `{"prompt":"a"}`)
	for status == http.StatusOK {
		status, _, body = s.call(t, "POST", "/v1/states", `{"prompt":"a"}`)
	}
	wantError(t, "full", status, http.StatusForbidden, body, "", "want room for a state of 1024 bytes")
	if !strings.Contains(body, `"message":"want room`) {
		t.Errorf("an error of no field: %s", body)
	}
	before := len(s.model.Asked())
	status, _, body = s.call(t, "POST", "/v1/completions", `{"prompt":"a","return_state":true}`)
	if wantError(t, "full", status, http.StatusForbidden, body, "return_state", "this server keeps"); len(s.model.Asked()) != before {
		t.Error("an answer was made whose state has no room")
	}
}
