package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// serving is a server in a process of its own.
type serving struct {
	*exec.Cmd
	url    string
	log    *processLog
	client *http.Client
}

// processLog is what a process writes, which may be read before it ends.
type processLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *processLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startServing starts a server on a free port and waits until it listens.
func startServing(t *testing.T, args ...string) *serving {
	t.Helper()
	return startServingIn(t, "", args...)
}

// startServingIn starts it in a folder, "" for the test's own.
func startServingIn(t *testing.T, dir string, args ...string) *serving {
	t.Helper()
	s := &serving{Cmd: child(append([]string{"serve", "--listen", "127.0.0.1:0", "--json"}, args...)...), log: new(processLog), client: describedClient(t)}
	s.Dir, s.Stderr = dir, s.log
	out, err := s.StdoutPipe()
	if err == nil {
		err = s.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = s.Wait()
		t.Fatalf("%v: %s", err, s.log)
	}
	var said served
	decode(t, line, &said)
	if said.Model == "" || said.ModelID == "" || said.Device == "" || said.Sequences < 1 {
		t.Errorf("%+v", said)
	}
	s.url = said.Listening
	return s
}

// end sends a signal and returns the exit status.
func (s *serving) end(t *testing.T, signal os.Signal) int {
	t.Helper()
	if err := s.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait() // the status says it
	return s.ProcessState.ExitCode()
}

// answered is what the protocol's answers have in common.
type answered struct {
	Choices []struct {
		Text    string
		Message struct{ Content string }
	}
	Usage struct {
		Prompt  int `json:"prompt_tokens"`
		Details struct {
			Cached int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	}
}

func (s *serving) post(t *testing.T, path, body string) (a answered) {
	t.Helper()
	s.read(t, path, body, &a)
	return a
}

// read posts a request and reads from the answer what v has fields for.
func (s *serving) read(t *testing.T, path, body string, v any) {
	t.Helper()
	r, err := s.client.Post(s.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s (%v)", r.StatusCode, text, err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// get returns the text at a path.
func (s *serving) get(t *testing.T, path string) string {
	t.Helper()
	r, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%d %s (%v)", r.StatusCode, text, err)
	}
	return string(text)
}

// modelCreated returns when the model was made, in seconds since 1970.
func (s *serving) modelCreated(t *testing.T) int64 {
	t.Helper()
	r, err := http.Get(s.url + "/v1/models")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var list struct{ Data []struct{ Created int64 } }
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil || len(list.Data) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	return list.Data[0].Created
}

// The time of a model is that of its file.
func TestCreated(t *testing.T) {
	path, want := filepath.Join(t.TempDir(), "model.st"), time.Unix(1e9, 0)
	err := os.WriteFile(path, nil, 0o600)
	if err == nil {
		err = os.Chtimes(path, want, want)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := created(path); !got.Equal(want) {
		t.Errorf("%v, want %v", got, want)
	}
}

const aChat = `{"messages":[{"role":"system","content":"You tell stories to small children about kind animals who live in a forest."},{"role":"user","content":"%s"}],"max_tokens":8,"temperature":0}`

// What is served is what generate writes; a conversation costs its new tokens; and the server ends in order.
func TestServe(t *testing.T) {
	var want generated
	cliJSON(t, &want, "generate", "Once upon a time", "-n", "20", "--temperature", "0", "--device", "cpu")
	for signal, status := range map[os.Signal]int{syscall.SIGTERM: statusDone, os.Interrupt: statusInterrupted} {
		s := startServing(t, "--device", "cpu")
		if got := s.post(t, "/v1/completions", `{"prompt":"Once upon a time","max_tokens":20,"temperature":0}`); got.Choices[0].Text != want.Text {
			t.Errorf("served %q, generate writes %q", got.Choices[0].Text, want.Text)
		}
		if age := time.Since(time.Unix(s.modelCreated(t), 0)); age < 0 || age > time.Hour {
			t.Errorf("the model of the binary is said to be %v old", age)
		}
		page, err := http.Get(s.url + "/")
		if err != nil {
			t.Fatal(err)
		}
		html, err := io.ReadAll(page.Body)
		page.Body.Close()
		if err != nil || page.StatusCode != http.StatusOK || !strings.Contains(string(html), "<title>rwkv-gpu</title>") {
			t.Errorf("the page: %v: %s: %s", err, page.Status, html)
		}
		first := s.post(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Tell me of a fox."))
		again := s.post(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Tell me of a hare."))
		if first.Usage.Details.Cached != 0 || again.Usage.Details.Cached < 15 {
			t.Errorf("%+v, then %+v", first.Usage, again.Usage)
		}
		// An answer under way ends, and the server after it.
		r, err := http.Post(s.url+"/v1/completions", "", strings.NewReader(`{"prompt":"Once","max_tokens":60,"stream":true,"logit_bias":{"0":-100}}`))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(r.Body)
		if _, err := lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		if err := s.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(lines)
		r.Body.Close()
		if err != nil || !strings.HasSuffix(string(rest), "data: [DONE]\n\n") {
			t.Errorf("%v: the answer under way: %v: %.200s", signal, err, rest)
		}
		_ = s.Wait() // the status says it
		if got := s.ProcessState.ExitCode(); got != status {
			t.Errorf("%v: want status %d, got %d: %s", signal, status, got, s.log)
		}
	}
}

// A response that goes on from another reads its new tokens alone, also in Anthropic's protocol.
func TestServeContinues(t *testing.T) {
	s := startServing(t, "--device", "cpu")
	type usage struct {
		Input, Output, Cached int
		Content               string
	}
	ask := func(path, body string) (id string, u usage) {
		t.Helper()
		var a struct {
			ID      string
			Content []struct{ Text string }
			Usage   struct {
				Input   int `json:"input_tokens"`
				Output  int `json:"output_tokens"`
				Cached  int `json:"cache_read_input_tokens"`
				Details struct {
					Cached int `json:"cached_tokens"`
				} `json:"input_tokens_details"`
			}
		}
		s.read(t, path, body, &a)
		for _, c := range a.Content {
			u.Content += c.Text
		}
		u.Cached = a.Usage.Cached + a.Usage.Details.Cached
		u.Input, u.Output = a.Usage.Input+a.Usage.Cached, a.Usage.Output // which are apart in Anthropic's protocol
		return a.ID, u
	}
	// The last token of an answer is drawn and not read. Behind it come the separator, the user's message and a header.
	const news = len("\n\nUser: And then?\n\nAssistant:")
	check := func(what string, before, after usage) {
		t.Helper()
		if after.Cached < before.Input+before.Output-1 || after.Input-after.Cached > news || after.Input <= before.Input+before.Output {
			t.Errorf("%s: %+v, then %+v", what, before, after)
		}
	}
	id, before := ask("/v1/responses", `{"input":"Tell me of a fox.","max_output_tokens":12,"temperature":0}`)
	for range 2 {
		next, after := ask("/v1/responses", fmt.Sprintf(`{"input":"And then?","previous_response_id":%q,"max_output_tokens":12,"temperature":0}`, id))
		check("responses", before, after)
		id, before = next, after
	}
	const message = `{"role":"user","content":"Tell me of a hare."}`
	_, before = ask("/v1/messages", `{"max_tokens":12,"temperature":0,"messages":[`+message+`]}`)
	said, err := json.Marshal(before.Content)
	if err != nil {
		t.Fatal(err)
	}
	_, after := ask("/v1/messages", fmt.Sprintf(`{"max_tokens":12,"temperature":0,"messages":[%s,{"role":"assistant","content":%s},{"role":"user","content":"And then?"}]}`, message, said))
	check("messages", before, after)
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// What is kept in files outlives the server, also one that is killed.
func TestServeKeepsStates(t *testing.T) {
	dir := t.TempDir()
	s := startServing(t, "--device", "cpu", "--cache-disk", dir)
	first := s.post(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Tell me of a fox."))
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
	for range 2 { // the second begins after a kill
		s = startServing(t, "--device", "cpu", "--cache-disk", dir)
		if again := s.post(t, "/v1/chat/completions", fmt.Sprintf(aChat, "Tell me of a fox.")); again.Usage.Details.Cached < first.Usage.Prompt-8 || again.Choices[0].Message.Content != first.Choices[0].Message.Content {
			t.Errorf("%+v, then %+v", first, again)
		}
		if status := s.end(t, syscall.SIGKILL); status == statusDone {
			t.Error("a killed server has status 0")
		}
	}
}

// addressed is a listener of an address.
type addressed struct {
	net.Listener
	at *net.TCPAddr
}

func (l addressed) Addr() net.Addr { return l.at }

// The server says where its page is, at an address to which a browser can go.
func TestServePage(t *testing.T) {
	for address, want := range map[string]string{"127.0.0.1": "http://127.0.0.1:81/", "0.0.0.0": "http://localhost:81/", "::": "http://localhost:81/",
		"::1": "http://[::1]:81/", "192.0.2.7": "http://192.0.2.7:81/"} {
		if got := new(serveFlags).page(addressed{at: &net.TCPAddr{IP: net.ParseIP(address), Port: 81}}); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
	if got := (&serveFlags{cert: "c"}).page(addressed{at: &net.TCPAddr{IP: net.IPv6zero, Port: 81}}); got != "https://localhost:81/" {
		t.Errorf("with TLS: %s", got)
	}
	s := startServing(t, "--device", "cpu")
	if status := s.end(t, syscall.SIGTERM); status != statusDone || !strings.Contains(s.log.String(), "for a chat, open "+s.url+"/ in a browser; Ctrl-C ends the server\n") {
		t.Errorf("status %d: %s", status, s.log)
	}
}

func TestServeKeys(t *testing.T) {
	file := writeFile(t, "keys", []byte("ann secret-a\n"))
	s := startServing(t, "--device", "cpu", "--api-keys", file)
	r, err := http.Post(s.url+"/v1/completions", "", strings.NewReader(`{"prompt":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ Error struct{ Code string } }
	err = json.NewDecoder(r.Body).Decode(&e)
	r.Body.Close()
	if r.StatusCode != http.StatusUnauthorized || e.Error.Code != "invalid_api_key" || err != nil {
		t.Errorf("%d %+v %v", r.StatusCode, e, err)
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone || strings.Contains(s.log.String(), "secret-a") {
		t.Errorf("status %d: %s", status, s.log)
	}
}

func TestServeUsage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	bad := writeFile(t, "keys", []byte("ann\n"))
	empty := writeFile(t, "empty", []byte("# nobody\n"))
	for _, c := range []struct {
		status int
		args   []string
		parts  []string
	}{
		{statusUsage, []string{"x"}, []string{"argument", "want none"}},
		{statusUsage, []string{"--listen", "8080"}, []string{"--listen", "127.0.0.1:8080", `"8080"`}},
		{statusUsage, []string{"--max-sequences", "0"}, []string{"--max-sequences", "got 0"}},
		{statusUsage, []string{"--queue", "0"}, []string{"--queue", "got 0"}},
		{statusUsage, []string{"--cache-ram", "lots"}, []string{"--cache-ram", "500M", `"lots"`}},
		{statusUsage, []string{"--max-body", "-1"}, []string{"--max-body"}},
		{statusUsage, []string{"--state-bytes", "many"}, []string{"--state-bytes", "500M", `"many"`}},
		{statusUsage, []string{"--state-bytes-per-key", "-1"}, []string{"--state-bytes-per-key"}},
		{statusUsage, []string{"--timeout", "-1s"}, []string{"--timeout", "got -1s"}},
		{statusUsage, []string{"--template", "x"}, []string{"--template", "g1"}},
		{statusUsage, []string{"--think", "x"}, []string{"--think", "fast"}},
		{statusUsage, []string{"--preset", "x"}, []string{"--preset", "chat"}},
		{statusUsage, []string{"--tls-cert", "x"}, []string{"--tls-cert", "--tls-key"}},
		{statusInput, []string{"--api-keys", "missing"}, []string{"missing", "no such file"}},
		{statusInput, []string{"--api-keys", bad}, []string{bad, "line 1", "got 1 word"}},
		{statusInput, []string{"--api-keys", empty}, []string{empty, "at least one key"}},
		{statusInput, []string{"--tls-cert", bad, "--tls-key", bad}, []string{bad}},
		{statusInput, []string{"--model", "missing.pth"}, []string{"missing.pth"}},
		{statusFailed, []string{"--listen", l.Addr().String()}, []string{"--listen", "address already in use", "--listen 127.0.0.1:0"}},
		{statusInput, []string{"--cache-disk", filepath.Join(bad, "x")}, []string{filepath.Join(bad, "x"), "not a directory"}},
	} {
		args := append([]string{"serve", "--device", "cpu"}, c.args...)
		if c.args[0] != "--listen" {
			args = append(args, "--listen", "127.0.0.1:0")
		}
		wantError(t, cli(args...), c.status, c.parts...)
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "7": 7, "500M": 500 << 20, "4g": 4 << 30, "2GiB": 2 << 30, "1TB": 1 << 40, "3kb": 3 << 10} {
		var s size
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%s: %d, %v, want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "M", "-1", "1.5G", "9999999999T", "4GG", "x"} {
		var s size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is taken as %d", text, s)
		}
	}
}
