package main

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

func chatLines(t *testing.T, stdin string, args ...string) answer {
	t.Helper()
	return cliWith(context.Background(), stdin, nil, append([]string{"chat", "--device", "cpu", "--temperature", "0", "-n", "8"}, args...)...)
}

func saidLines(t *testing.T, r answer) (list []said) {
	t.Helper()
	if r.status != statusDone {
		t.Fatal(r)
	}
	for line := range strings.Lines(r.stdout) {
		var s said
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		list = append(list, s)
	}
	return list
}

// A line is a message, its answer is streamed and ends with an empty line; with --json it is a line.
func TestChat(t *testing.T) {
	if answers := saidLines(t, chatLines(t, "Tell me about a fox.\r\n/quit\nnever", "--json")); len(answers) != 1 {
		t.Errorf("%+v", answers)
	}
	list := saidLines(t, chatLines(t, "Tell me about a fox.\nAnd then?\n/retry", "--json"))
	if len(list) != 3 || list[1].Cached < 10 || list[1].Content != list[2].Content || list[2].Cached < list[1].Cached || list[0].Role != "assistant" || len(list[0].Tokens) != 8 || list[0].Finish != "length" {
		t.Fatalf("%+v", list)
	}
	r := chatLines(t, "Tell me about a fox.\nAnd then?\n/stats\n")
	if want := list[0].Content + "\n\n" + list[1].Content + "\n\n"; r.stdout != want || !strings.Contains(r.stderr, "2 answers") {
		t.Errorf("want %q, got %v", want, r)
	}
}

// --save and --state, and /save and /load, carry a conversation from one process to the next.
func TestChatState(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.safetensors"), filepath.Join(dir, "two.safetensors")
	whole := saidLines(t, chatLines(t, "Once there was a fox.\nAnd then?\n", "--json"))
	if r := chatLines(t, "Once there was a fox.\n/save "+two+"\n", "--save", one); r.status != statusDone {
		t.Fatal(r)
	}
	for _, rest := range []struct {
		stdin string
		args  []string
	}{{"And then?\n", []string{"--state", one}}, {"/load " + two + "\nAnd then?\n", nil}} {
		got := saidLines(t, chatLines(t, rest.stdin, append(rest.args, "--json")...))
		if len(got) != 1 || got[0].Content != whole[1].Content {
			t.Errorf("%v: %+v, without a break %+v", rest, got, whole[1])
		}
	}
}

func TestChatUsage(t *testing.T) {
	for _, c := range []struct {
		status int
		stdin  string
		args   []string
		parts  []string
	}{
		{statusUsage, "", []string{"x"}, []string{"argument"}},
		{statusUsage, "", []string{"--think", "x"}, []string{"--think", "fast"}},
		{statusUsage, "", []string{"--template", "x"}, []string{"--template", "raven"}},
		{statusUsage, "", []string{"--preset", "x"}, []string{"--preset", "math"}},
		{statusUsage, "", []string{"-n", "0"}, []string{"--max-tokens"}},
		{statusUsage, "", []string{"--top-p", "2"}, []string{"--top-p"}},
		{statusInput, "", []string{"--state", "missing"}, []string{"missing"}},
		{statusFailed, "/what\n", nil, []string{"/what: there is no such command"}},
		{statusInput, "\xff\n", nil, []string{"standard input", "UTF-8"}},
		{statusInput, "/load missing\n", nil, []string{"/load", "missing"}},
	} {
		wantError(t, chatLines(t, c.stdin, append(c.args, "--quiet")...), c.status, c.parts...)
	}
	if r := chatLines(t, ""); r.status != statusDone || r.stdout != "" {
		t.Error(r)
	}
}
