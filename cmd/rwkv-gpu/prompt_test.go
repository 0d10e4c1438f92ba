package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

const (
	userSays  = `[{"role":"user","content":"Why?\n\nTell me。"}]`
	toolsList = `[{"type":"function","function":{"name":"now","description":"The time","parameters":{"properties":{"zone":{"type":"string"}}}}}]`
)

// stdin runs the command with a text on standard input.
func stdin(text string, args ...string) answer {
	return cliWith(context.Background(), text, nil, args...)
}

// The text is that of its segments, and each segment's tokens are those of its text alone.
func TestPromptJSON(t *testing.T) {
	chat := writeFile(t, "chat.json", []byte(`{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"你好。"},
		{"role":"assistant","content":"Hi."},{"role":"user","content":"Again"}],"tools":`+toolsList+`,"model":"x"}`))
	var p promptAnswer
	cliJSON(t, &p, "prompt", chat, "--think", "fast")
	want := "System: Be brief.\nTools:\n[\n{\"name\":\"now\",\"description\":\"The time\",\"arguments\":{\"zone\":{\"type\":\"string\"}}}\n]\n" +
		"Return a JSON function call, or answer if none is needed.\n\nUser: 你好。\n\nAssistant: Hi.\n\nUser: Again\n\nAssistant: <think></think"
	if p.Prompt != want || p.Template != "g1" || p.Think != "fast" || !slices.Contains(p.Stop, "\n\nUser:") {
		t.Errorf("%+v\nwant %q", p, want)
	}
	text, kept := "", 0
	for _, s := range p.Segments {
		text += s.Text
		if s.Keep {
			kept++
		}
		if r := cli("tokenize", s.Text); r.stdout != formatTokens(s.Tokens)+"\n" {
			t.Errorf("%+v: %s", s, r)
		}
	}
	if text != want || kept != 7 {
		t.Errorf("%d places to keep in %q", kept, text)
	}
}

func TestPrompt(t *testing.T) {
	tools := writeFile(t, "tools.json", []byte(toolsList))
	for _, c := range []struct {
		args  []string
		stdin string
		want  string
	}{
		{nil, userSays, "User: Why?\nTell me。\n\nAssistant:"},
		{[]string{"-", "--think", "long"}, userSays, "User: Why?\nTell me。 (think a lot)\n\nAssistant: <think"},
		{[]string{"--clean=false"}, userSays, "User: Why?\n\nTell me。\n\nAssistant:"},
		{[]string{"--template", "bot", "--think", "free"}, userSays, "User✿Why?\nTell me。✿\nBot✿<think"},
		{[]string{"--template", "raven"}, `{"messages":` + userSays + `,"tools":null}`, "Bob: Why?\nTell me。\n\nAlice:"},
		{[]string{"--template", "bot", "--tools", tools}, userSays, "### System\n### `now`\n**Description:** The time\n**Parameters:**\n```json\n{\n  \"properties\": {\n" +
			"    \"zone\": {\n      \"type\": \"string\"\n    }\n  }\n}\n```\nTo call one of these tools, write exactly this format:\n**Tool Call:**\n```json\n" +
			"{\"name\": \"tool_name\", \"arguments\": {\"key\": \"value\"}}\n```\nDo not invent tool call IDs or write tool outputs yourself.\n### User\nWhy?\nTell me。\n### Assistant"},
	} {
		if r := stdin(c.stdin, append([]string{"prompt"}, c.args...)...); r.status != statusDone || r.stdout != c.want || r.stderr != "" {
			t.Errorf("%q: %s\nwant %q", c.args, r, c.want)
		}
	}
}

// Without --template the model decides: by its name, which has its date, and by its version. It needs no vocabulary for
// that.
func TestPromptByModel(t *testing.T) {
	size := weightstest.Size{Vocab: 50, Embed: 16, Layers: 1, Head: 16, FFN: 16, W: 4, A: 4, V: 4, G: 4}
	dir := t.TempDir()
	for name, c := range map[string]struct{ version, think, want string }{
		"rwkv7-g1-0.1b-20250307-ctx4096.pth":  {"v7", "short", "User: Hi\n\nAssistant: <think"},
		"rwkv7-g1a-0.1b-20251005-ctx4096.pth": {"v7", "short", "User: Hi think a bit\n\nAssistant: <think"},
		"rwkv7-g1h-0.1b-20260710-ctx4096.pth": {"v7", "short", "User: Hi (think a bit)\n\nAssistant: <think"},
		"mine.pth":                            {"v7", "short", "User: Hi (think a bit)\n\nAssistant: <think"},
		"RWKV-4-Raven-1B5-20230425.pth":       {"v4", "off", "Bob: Hi\n\nAlice:"},
		"mine6.pth":                           {"v6", "off", "always answer it.\n\nUser: Hi\n\nAssistant:"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, weightstest.Torch{}.File(weightstest.RWKV(c.version, size, tensor.BF16, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"prompt", "--model", path, "--quiet", "--think", c.think}
		r := stdin(`[{"role":"user","content":"Hi"}]`, args...)
		if r.status != statusDone || !strings.HasSuffix(r.stdout, c.want) || c.version != "v6" && r.stdout != c.want {
			t.Errorf("%s: %s\nwant %q", name, r, c.want)
		}
		if c.think == "off" {
			wantError(t, stdin(`[{"role":"user","content":"Hi"}]`, append(args, "--think", "short")...), statusUsage, "--think: want off with the template ")
		}
	}
}

// An error names the flag, or the file and the field.
func TestPromptErrors(t *testing.T) {
	bad := writeFile(t, "bad.json", []byte(`[{"role":"user","content":"a"},{"role":"user","content":[{"type":"image_url"}]}]`))
	good := writeFile(t, "good.json", []byte(userSays))
	tools := writeFile(t, "tools.json", []byte(toolsList))
	for _, c := range []struct {
		status int
		args   string // separated by |
		stdin  string
		want   string
	}{
		{statusUsage, "--template|x", "", `prompt: --template: want one of auto, g1, g1-markdown, bot, raven, world, instruction, got "x"`},
		{statusUsage, "--think|deep", "", `prompt: --think: want one of off, fast, free, short, long, got "deep"`},
		{statusUsage, "--tools|", "", `prompt: --tools: want a file, got an empty name`},
		{statusUsage, "a|b", "", `prompt: argument: want one file, got 2`},
		{statusUsage, good + "|--template|world|--tools|" + tools, "", `prompt: --tools: want none with the template world, got 1`},
		{statusInput, "--template|world", `{"messages":` + userSays + `,"tools":` + toolsList + `}`, `prompt: standard input: tools: want none with the template world, got 1`},
		{statusInput, "", "", `prompt: standard input: messages: want a list, got none`},
		{statusInput, "", "{}", `prompt: standard input: messages: want a list, got none`},
		{statusInput, "", `{"messages":1}`, `prompt: standard input: messages: want a list, got a number`},
		{statusInput, "", `{"messages":`, `prompt: standard input: want JSON, got an error: unexpected end of JSON input`},
		{statusInput, "", `{"messages":` + userSays + `,"tools":{}}`, `prompt: standard input: tools: want a list, got an object`},
		{statusInput, bad, "", bad + `: messages[1].content[0].type: want text or input_text, got "image_url"`},
		{statusInput, bad + ".none", "", bad + `.none: open: no such file or directory`},
		{statusInput, good + "|--tools|" + good, "", good + `: tools[0].function: want an object, got none`},
		{statusInput, good + "|--tools|" + good + ".none", "", good + `.none: open: no such file or directory`},
	} {
		args := []string{"prompt"}
		if c.args != "" {
			args = append(args, strings.Split(c.args, "|")...)
		}
		r := stdin(c.stdin, args...)
		wantError(t, r, c.status, c.want)
		if r.stdout != "" {
			t.Errorf("%q: stdout %q", c.args, r.stdout)
		}
	}
}
