package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// stated is an answer with the state behind it.
type stated struct {
	answered
	State string
}

// States that are kept by id outlive the server in the folder of --cache-disk, also one that is killed, and end with it
// without. A chat that goes on from one reads its new tokens alone. The file of one is a state file of the command's.
func TestServeStates(t *testing.T) {
	dir := t.TempDir()
	const next = `{"messages":[{"role":"user","content":"And then?"}],"max_tokens":8,"temperature":0,"return_state":true,"cache":false,"state":"%s"}`
	for _, args := range [][]string{{"--cache-disk", dir}, nil} {
		args = append([]string{"--device", "cpu", "--exact"}, args...)
		s := startServing(t, args...)
		var first, whole, after stated
		s.read(t, "/v1/chat/completions", fmt.Sprintf(aChat[:len(aChat)-1]+`,"return_state":true}`, "Tell me of a fox."), &first)
		s.read(t, "/v1/chat/completions", fmt.Sprintf(next, first.State), &whole)
		var text struct{ Tokens []int }
		s.read(t, "/v1/chat/completions/render", fmt.Sprintf(next, ""), &text)
		for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			s.end(t, signal)
			s = startServing(t, args...)
			if len(args) == 3 {
				r, err := http.Get(s.url + "/v1/states/" + first.State)
				if err != nil {
					t.Fatal(err)
				}
				if r.Body.Close(); r.StatusCode != http.StatusNotFound {
					t.Errorf("after a restart without a folder: %s", r.Status)
				}
				continue
			}
			s.read(t, "/v1/chat/completions", fmt.Sprintf(next, first.State), &after)
			if u := after.Usage; after.Choices[0].Message.Content != whole.Choices[0].Message.Content || u.Prompt-u.Details.Cached != len(text.Tokens) || u != whole.Usage {
				t.Errorf("after %v: %+v, before %+v; %d new tokens", signal, after, whole, len(text.Tokens))
			}
		}
		if len(args) == 3 {
			continue
		}
		path := filepath.Join(t.TempDir(), "kept.safetensors")
		if err := os.WriteFile(path, []byte(s.get(t, "/v1/states/"+after.State+"/content")), 0o600); err != nil {
			t.Fatal(err)
		}
		var in stateInfo
		cliJSON(t, &in, "state", path)
		if !in.Fits || in.Checksum != "ok" || in.Tokens < after.Usage.Prompt || in.Pending != nil {
			t.Errorf("the file of a state: %+v", in)
		}
		var said generated
		cliJSON(t, &said, "generate", "--device", "cpu", "--state", path, "-n", "8", "--temperature", "0", "--exact", "User: And then?\n\nAssistant:")
		var again stated
		s.read(t, "/v1/completions", fmt.Sprintf(`{"prompt":"User: And then?\n\nAssistant:","max_tokens":8,"temperature":0,"state":%q}`, after.State), &again)
		if said.Text != again.Choices[0].Text || said.Text == "" {
			t.Errorf("generate goes on with %q, the server with %q", said.Text, again.Choices[0].Text)
		}
	}
}
