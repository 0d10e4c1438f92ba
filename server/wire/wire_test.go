package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

type request struct {
	Model  string       `json:"model"`
	Prompt Prompts      `json:"prompt"`
	Stop   List[string] `json:"stop"`
	Max    *int         `json:"max_tokens"`
	Temp   *float32     `json:"temperature"`
	Seed   *uint64      `json:"seed"`
	Stream bool         `json:"stream"`
	Format *struct {
		Type string `json:"type"`
	} `json:"response_format"`
	Bias map[string]float32 `json:"logit_bias"`
}

func TestDecode(t *testing.T) {
	for body, want := range map[string]request{
		`{}`: {},
		`{"model":null,"stop":null,"prompt":null,"max_tokens":null,"unknown":[{"a":1}]}`: {},
		`{"prompt":"a","stop":"b"}`:            {Prompt: Prompts{{Text: "a"}}, Stop: List[string]{"b"}},
		`{"prompt":["a",""],"stop":["b","c"]}`: {Prompt: Prompts{{Text: "a"}, {}}, Stop: List[string]{"b", "c"}},
		`{"prompt":[1,2]}`:                     {Prompt: Prompts{{IDs: []int{1, 2}}}},
		`{"prompt":[[1],[]]}`:                  {Prompt: Prompts{{IDs: []int{1}}, {IDs: []int{}}}},
		`{"prompt":[]}`:                        {Prompt: Prompts{}},
		`{"prompt":["a",[3]]}`:                 {Prompt: Prompts{{Text: "a"}, {IDs: []int{3}}}},
		`{"prompt":[1.0,-2.00]}`:               {Prompt: Prompts{{IDs: []int{1, -2}}}},
	} {
		var got request
		if err := Decode([]byte(body), &got); err != nil {
			t.Errorf("%s: %v", body, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: want %+v, got %+v", body, want, got)
		}
	}
}

func TestDecodeWrong(t *testing.T) {
	for body, want := range map[string]struct{ param, message string }{
		``:                                   {"", "it ends too early"},
		`{"model":"a"`:                       {"", "it ends too early"},
		`{"model":"a"} x`:                    {"", "no JSON: at byte 14"},
		`{"model":"a","model":"b"}`:          {"model", "duplicate"},
		"{\"model\":\"\xff\"}":               {"model", "UTF-8"},
		`[1]`:                                {"", "want an object, got a list"},
		`x`:                                  {"", "the body is no JSON: at byte 0"},
		`"a"`:                                {"", "want an object, got a string"},
		`{"model":3}`:                        {"model", "model: want a string, got a number"},
		`{"max_tokens":1.5}`:                 {"max_tokens", "max_tokens: want an integer, got the number 1.5"},
		`{"max_tokens":"secret"}`:            {"max_tokens", "max_tokens: want an integer, got a string"},
		`{"max_tokens":1.00000000000000001}`: {"max_tokens", "want an integer, got the number 1.00"},
		`{"max_tokens":1e2}`:                 {"max_tokens", "want an integer, got the number 1e2"},
		`{"max_tokens":9223372036854775808}`: {"max_tokens", "want an integer, got the number 9223"},
		`{"prompt":[1,null]}`:                {"prompt[1]", "prompt[1]: want an integer, got null"},
		`{"prompt":["a",[1,null]]}`:          {"prompt[1][1]", "prompt[1][1]: want an integer, got null"},
		`{"temperature":true}`:               {"temperature", "want a number, got true"},
		`{"temperature":1e99}`:               {"temperature", "got the number 1e99"},
		`{"seed":-1}`:                        {"seed", "want an integer of at least 0, got the number -1"},
		`{"stream":"yes"}`:                   {"stream", "want true or false, got a string"},
		`{"stop":5}`:                         {"stop", "want a string or a list of such, got a number"},
		`{"stop":["a",5]}`:                   {"stop[1]", "stop[1]: want a string, got a number"},
		`{"response_format":"json"}`:         {"response_format", "want an object, got a string"},
		`{"response_format":{"type":[]}}`:    {"response_format.type", "response_format.type: want a string, got a list"},
		`{"logit_bias":{"7":"x"}}`:           {"logit_bias[7]", "want a number, got a string"},
		`{"prompt":{}}`:                      {"prompt", "prompt: want a string, a list of strings, a list of token ids or a list of lists of token ids, got an object"},
		`{"prompt":[1,"a"]}`:                 {"prompt[1]", "prompt[1]: want an integer, got a string"},
		`{"prompt":["a",null]}`:              {"prompt[1]", "prompt[1]: want a string or a list of token ids, got null"},
		`{"prompt":[[1],[2,"x"]]}`:           {"prompt[1][1]", "prompt[1][1]: want an integer, got a string"},
	} {
		var got request
		err := Decode([]byte(body), &got)
		if err == nil {
			t.Errorf("%s: taken", body)
			continue
		}
		if err.Status != http.StatusBadRequest || err.Param != want.param || !strings.Contains(err.Message, want.message) || err.Code == "" || strings.Contains(err.Message, "secret") || strings.Contains(err.Message, "\n") {
			t.Errorf("%s: want %q of %q, got %+v", body, want.message, want.param, *err)
		}
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		body   io.Reader
		status int
	}{
		{strings.NewReader("12345"), 0},
		{strings.NewReader("123456"), http.StatusRequestEntityTooLarge},
		{io.MultiReader(strings.NewReader("12"), failing{}), http.StatusBadRequest},
	} {
		body, err := Read(httptest.NewRecorder(), httptest.NewRequest("POST", "/", c.body), 5)
		if c.status == 0 && (err != nil || string(body) != "12345") || c.status != 0 && (err == nil || err.Status != c.status) {
			t.Errorf("want status %d, got %q, %v", c.status, body, err)
		}
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func FuzzDecode(f *testing.F) {
	f.Add(`{"prompt":[[1],[2,"x"]],"stop":["a"]}`)
	f.Fuzz(func(t *testing.T, body string) {
		var got request
		if err := Decode([]byte(body), &got); err != nil && (err.Message == "" || err.Status != http.StatusBadRequest) {
			t.Errorf("%+v", err)
		}
	})
}
