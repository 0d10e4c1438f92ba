package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/chat"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
)

// chatAnswer is what the answers of chats and completions have.
type chatAnswer struct {
	Choices []struct {
		Text    string
		Message struct {
			Content string
			Calls   []struct {
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		Finish string `json:"finish_reason"`
	}
}

// checkRequest checks a block of curl with a body, and the answer: the fields are those that the server's description has,
// and the answer has the form that is asked for.
func checkRequest(t *testing.T, where, command, out, description string) {
	t.Helper()
	post := regexp.MustCompile(`(?s)curl (?:-N )?http://[^/]+(/\S*) -d '(.*?)'(?:\s|$)`).FindStringSubmatch(strings.ReplaceAll(command, `'"$id"'`, "ID"))
	if post == nil {
		return
	}
	body := post[2]
	known := fieldsOf(t, description, post[1])
	var sent map[string]any
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		t.Errorf("%s: %v", where, err)
	}
	for name := range sent {
		if !known[name] {
			t.Errorf("%s: %s has no field %s", where, post[1], name)
		}
	}
	var asked struct {
		Stream  bool
		Regex   string
		Grammar string
		Format  *struct{} `json:"response_format"`
		Choice  any       `json:"tool_choice"`
	}
	if err := json.Unmarshal([]byte(body), &asked); err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	if asked.Stream {
		if !strings.HasSuffix(out, "data: [DONE]\n\n") {
			t.Errorf("%s: the stream does not end: %q", where, out)
		}
		return
	}
	if asked.Regex == "" && asked.Grammar == "" && asked.Format == nil && asked.Choice == nil {
		return
	}
	var a chatAnswer
	if err := json.Unmarshal([]byte(out), &a); err != nil || len(a.Choices) != 1 {
		t.Errorf("%s: %v: %s", where, err, out)
		return
	}
	c := a.Choices[0]
	text := c.Text + c.Message.Content
	switch {
	case c.Finish == "length": // these forms end within the test's limit
		t.Errorf("%s: the answer is cut short: %s", where, out)
	case asked.Regex != "" && !regexp.MustCompile(`^(?:`+asked.Regex+`)$`).MatchString(text):
		t.Errorf("%s: want a match of %s, got %q", where, asked.Regex, text)
	case asked.Grammar != "" && !strings.Contains(text, ", because "):
		t.Errorf("%s: want a match of %s, got %q", where, asked.Grammar, text)
	case asked.Format != nil && !json.Valid([]byte(text)):
		t.Errorf("%s: want JSON, got %q", where, text)
	case asked.Choice != nil && (len(c.Message.Calls) != 1 || !json.Valid([]byte(c.Message.Calls[0].Function.Arguments))):
		t.Errorf("%s: want a call, got %s", where, out)
	}
}

// fieldsOf returns the fields that requests to a path have by the server's description.
func fieldsOf(t *testing.T, description, path string) map[string]bool {
	t.Helper()
	type schema struct {
		Ref        string `json:"$ref"`
		Properties map[string]any
		All        []json.RawMessage `json:"allOf"`
		Any        []json.RawMessage `json:"anyOf"`
		One        []json.RawMessage `json:"oneOf"`
	}
	var d struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct{ Schema json.RawMessage }
				}
			}
		}
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal([]byte(description), &d); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	var collect func(data json.RawMessage)
	collect = func(data json.RawMessage) {
		var s schema
		if err := json.Unmarshal(data, &s); err != nil {
			t.Fatal(err)
		}
		for name := range s.Properties {
			known[name] = true
		}
		if s.Ref != "" {
			collect(d.Components.Schemas[filepath.Base(s.Ref)])
		}
		for _, part := range slices.Concat(s.All, s.Any, s.One) {
			collect(part)
		}
	}
	collect(d.Paths[path].Post.RequestBody.Content["application/json"].Schema)
	return known
}

// document returns the text of a document.
func document(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(reference.Root(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// docs/chat.md has every command, every key of /set, every preset and every mode of thinking, and no others.
func TestChatPage(t *testing.T) {
	text := document(t, "docs/chat.md")
	named := func(of string) (list []string) {
		for _, m := range regexp.MustCompile("`"+of+"`").FindAllStringSubmatch(text, -1) {
			list = append(list, m[1])
		}
		slices.Sort(list)
		return slices.Compact(list)
	}
	var commands, keys, presets, thinks []string
	for line := range strings.Lines(chat.Help) {
		name, about, _ := strings.Cut(line, "  ")
		name, _, _ = strings.Cut(name, " ")
		if commands = append(commands, name); name == "/set" {
			keys = strings.Split(strings.TrimSpace(about), ", ")
		}
	}
	commands = append(commands, "/help")
	slices.Sort(commands)
	if got := named(`(/[a-z]+)(?: [A-Z ]+)?`); !slices.Equal(got, commands) {
		t.Errorf("commands %v, want %v", got, commands)
	}
	for _, p := range prompt.Presets() {
		presets = append(presets, p.Name)
	}
	for _, p := range prompt.Thinks() {
		thinks = append(thinks, string(p))
	}
	_, table, _ := strings.Cut(text, "| preset | for |")
	for _, name := range presets {
		if !strings.Contains(table, "`"+name+"`") {
			t.Errorf("no preset %s", name)
		}
	}
	for _, name := range slices.Concat(keys, thinks) {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("no %s", name)
		}
	}
}

// Links of the documents lead to files and headings that are there.
func TestLinks(t *testing.T) {
	root := reference.Root(t)
	list, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "bench/README.md"} {
		list = append(list, filepath.Join(root, filepath.FromSlash(name)))
	}
	links := 0
	for _, path := range list {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			links++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), filepath.FromSlash(file))
			}
			there, err := os.ReadFile(target)
			if i, failed := os.Stat(target); failed == nil && i.IsDir() {
				err = nil
			}
			if err != nil {
				t.Errorf("%s: %s: %v", path, m[1], err)
			} else if anchor != "" && !slices.Contains(anchors(string(there)), anchor) {
				t.Errorf("%s: %s: there is no such heading", path, m[1])
			}
		}
	}
	if links < 20 {
		t.Errorf("only %d links", links)
	}
}

// anchors returns the names of a document's headings in links.
func anchors(text string) (list []string) {
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(line, "#"); ok {
			heading = strings.ToLower(strings.TrimSpace(strings.TrimLeft(heading, "#")))
			heading = regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(heading, "")
			list = append(list, strings.ReplaceAll(heading, " ", "-"))
		}
	}
	return list
}

// docs/service.md lists the figures that the server has, and no others.
func TestMetricsPage(t *testing.T) {
	s := startServing(t, "--device", "cpu")
	s.post(t, "/v1/completions", `{"prompt":"Once","max_tokens":2}`)
	served := s.get(t, "/metrics")
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (rwkv_\w+) `).FindAllStringSubmatch(served, -1) {
		want = append(want, m[1])
	}
	var got []string
	for _, m := range regexp.MustCompile("`(rwkv_\\w+)`").FindAllStringSubmatch(document(t, "docs/service.md"), -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("the page has %v, the server %v", got, want)
	}
}
