package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Lines that are no requests say which line, which field, what was wanted and what was there.
func TestBadLines(t *testing.T) {
	good := `{"custom_id":"good","method":"POST","url":"/v1/chat/completions","body":{}}`
	for line, want := range map[string]string{
		`[]`:                    "line 2: the line: want an object, got a list",
		`{"custom_id":`:         "line 2: the line is no JSON: at byte 13",
		`{}`:                    "line 2: custom_id: missing, want a string of 1 to 512 bytes",
		`{"custom_id":7}`:       "line 2: custom_id: want a string, got a number",
		`{"custom_id":""}`:      "line 2: custom_id: want a string of 1 to 512 bytes, got 0 bytes",
		`{"custom_id":"a"}`:     "line 2: method: missing, want POST",
		strings.Repeat("x", 99): "line 2: the line is no JSON",
		`{"custom_id":"` + strings.Repeat("x", 513) + `"}`:                                                           "got 513 bytes",
		strings.Repeat(" ", 1<<16) + "{}":                                                                            "line 2: want a line of at most 65536 bytes, got 65538",
		`{"custom_id":"a","method":"GET"}`:                                                                           `line 2: method: want POST, got "GET"`,
		`{"custom_id":"a","method":"POST"}`:                                                                          "line 2: url: missing, want /v1/chat/completions or /v1/embeddings",
		`{"custom_id":"a","method":"POST","url":"/v1/audio"}`:                                                        `line 2: url: want /v1/chat/completions or /v1/embeddings, got "/v1/audio"`,
		`{"custom_id":"a","method":"POST","url":"/v1/embeddings"}`:                                                   "line 2: body: missing, want an object",
		`{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":"x"}`:                                        "line 2: body: want an object, got a string",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"stream":true}}`:                      "line 2: body.stream: want false, since the result of an item is whole, got true",
		`{"custom_id":"a","custom_id":"b","method":"POST","url":"/v1/chat/completions","body":{}}`:                   "line 2: the line is no JSON",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"n":1,"n":2}}`:                        "line 2: the line is no JSON",
		"{\"custom_id\":\"\xff\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{}}":                  "line 2: the line is no JSON",
		`{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"stream":false,"seed":1}} {"more":1}`: "line 2: the line is no JSON",
	} {
		o := options(file(t, t.TempDir(), good, line))
		c, err := work(t.Context(), o, &echo{}, nil)
		if err != nil || c.Completed != 1 || c.Failed != 1 {
			t.Errorf("%.60s: %+v, %v", line, c, err)
			continue
		}
		var r outcome
		var e failure
		if err := json.Unmarshal([]byte(results(t, o.Errors)[0]), &r); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(r.Error, &e); err != nil || !strings.Contains(e.Message, want) || e.Code == "" || r.Response != nil {
			t.Errorf("%.60s: want %q, got %q (%v)", line, want, r.Error, err)
		}
	}
}

// A file is refused as a whole if it has no request, too many, or two of one custom_id. Then nothing of it is done.
func TestRefused(t *testing.T) {
	item := func(id string) string {
		return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":"/v1/embeddings","body":{}}`, id)
	}
	for want, lines := range map[string][]string{
		"line 1: want a request, got an empty file":                               {"", "  ", "\t"},
		"line 1: the line: want an object, got a list":                            {"[", "{},", "]"},
		"line 1: the line is no JSON":                                             {"\x00\x01"},
		"line 4: custom_id: want one of its own, got that of line 2 (and 2 more)": {item("a"), item("b"), "", item("b"), item("c"), item("a"), item("b")},
		"line 5: want at most 4 requests, got more":                               {item("a"), item("b"), item("c"), item("d"), item("e")},
	} {
		o := options(file(t, t.TempDir(), lines...))
		if strings.Contains(want, "at most 4") {
			o.MostItems = 4
		}
		w := &echo{}
		_, err := work(t.Context(), o, w, nil)
		var bad *InputError
		if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), want) || w.asked.Load() > 0 {
			t.Errorf("want %q, got %v; %d were asked", want, err, w.asked.Load())
			continue
		}
		if bad.Faults[0].Line == 0 || bad.Faults[0].Code == "" {
			t.Errorf("%+v", bad.Faults)
		}
		if _, err := os.Stat(o.Dir); !errors.Is(err, os.ErrNotExist) || Begun(o.Dir) {
			t.Errorf("want nothing left, got %v", err)
		}
	}
	o := options(file(t, t.TempDir(), item("a")))
	o.Input = filepath.Dir(o.Input)
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "want a file") {
		t.Errorf("a folder: %v", err)
	}
}

// Ids that are there twice are found however many parts the ids are sorted in.
func TestParts(t *testing.T) {
	for _, parts := range []int64{1, 3, 16} {
		s, err := newIDs(filepath.Join(t.TempDir(), "ids"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range int64(500) {
			id := fmt.Sprint(i)
			if i%100 == 99 {
				id = fmt.Sprint(i / 2)
			}
			if err := s.add(id, i+1); err != nil {
				t.Fatal(err)
			}
		}
		err = s.parts(t.Context(), parts)
		var bad *InputError
		if !errors.As(err, &bad) || len(bad.Faults) != 3 || bad.Faults[0].Line != 100 || !strings.HasSuffix(bad.Faults[2].Message, "got that of line 250") {
			t.Errorf("%d parts: %v, %+v", parts, err, bad)
		}
		s.close()
	}
}

// A job goes on only with the input and the settings that it was begun with, and is one process's at a time.
func TestOther(t *testing.T) {
	o := options(file(t, t.TempDir(), some(50)...))
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrHeld) {
		t.Errorf("while another is at work: %v", err)
	}
	if err := Forget(o.Dir); !errors.Is(err, ErrHeld) {
		t.Errorf("forgotten while another is at work: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	other := o
	other.Settings = "another model"
	if _, err := Open(t.Context(), other); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), "want a model, got another model") {
		t.Errorf("another model: %v", err)
	}
	file(t, filepath.Dir(o.Input), some(51)...)
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrChanged) {
		t.Errorf("another input: %v", err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, headName), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrDamaged) {
		t.Errorf("a broken head: %v", err)
	}
}

// An item without a seed gets one that follows from its custom_id alone. The rest of a body stays as it is.
func TestSeeds(t *testing.T) {
	const chat, embed = "/v1/chat/completions", "/v1/embeddings"
	for _, c := range []struct{ url, body, want string }{
		{chat, `{}`, `{"seed":SEED}`},
		{chat, `{"n":2}`, `{"seed":SEED,"n":2}`},
		{chat, `{ "x":{"seed":1} }`, `{"seed":SEED, "x":{"seed":1} }`},
		{chat, `{"a":1,"seed":null , "b":2}`, `{"a":1,"seed":SEED , "b":2}`},
		{chat, `{"seed":7}`, `{"seed":7}`},
		{chat, `{"seed":"x"}`, `{"seed":"x"}`}, // the worker says what is wrong with it
		{embed, `{"input":"x"}`, `{"input":"x"}`},
	} {
		for _, id := range []string{"a", "b"} {
			got, _, fault := prepare(c.url, []byte(c.body), id)
			want := strings.Replace(c.want, "SEED", fmt.Sprint(seed(id)), 1)
			if fault != nil || string(got) != want {
				t.Errorf("%s: want %s, got %s (%v)", c.body, want, got, fault)
			}
		}
	}
	if a := seed("a"); a == seed("b") || a < 0 || a >= 1<<53 {
		t.Errorf("seeds %d, %d", a, seed("b"))
	}
}

// An item costs what it asks for.
func TestCost(t *testing.T) {
	for _, c := range []struct {
		url, body string
		answers   int64
		tokens    int64
	}{
		{"/v1/chat/completions", `{"seed":1,"messages":[{"role":"user","content":"x"}]}`, 1, usualAnswer + 13},
		{"/v1/chat/completions", `{"seed":1,"n":3,"max_completion_tokens":10}`, 3, 30 + 10},
		{"/v1/completions", `{"seed":1,"prompt":["a","b"],"best_of":4,"n":2,"max_tokens":0}`, 8, 15},
		{"/v1/completions", `{"seed":1,"prompt":[1,2,3],"max_tokens":5}`, 1, 5 + 10},
		{"/v1/completions", `{"seed":1,"prompt":[[1],[2]],"max_tokens":5}`, 2, 10 + 11},
		{"/v1/embeddings", `{"input":["a","b","c"]}`, 3, 5},
		{"/v1/chat/completions", `{"seed":1,"n":"x","max_tokens":-1}`, 1, usualAnswer + 8},
	} {
		_, got, fault := prepare(c.url, []byte(c.body), "a")
		if fault != nil || got != (cost{c.answers, c.tokens}) {
			t.Errorf("%s: want %d and %d, got %+v (%v)", c.body, c.answers, c.tokens, got, fault)
		}
	}
}
