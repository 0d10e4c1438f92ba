//go:build unix

package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// snippet is a fenced block of a page.
type snippet struct {
	line           int
	language, text string
}

// snippets returns the fenced blocks of a page. A block in a list is indented as its fence is.
func snippets(t *testing.T, page string) (list []snippet) {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var s *snippet
	indent := ""
	for i, line := range strings.Split(string(data), "\n") {
		before, mark, fence := strings.Cut(line, "```")
		switch {
		case fence && strings.TrimSpace(before) == "" && s == nil:
			s, indent = &snippet{i + 1, mark, ""}, before
		case fence && s != nil:
			list, s = append(list, *s), nil
		case s != nil:
			s.text += strings.TrimPrefix(line, indent) + "\n"
		}
	}
	if s != nil {
		t.Errorf("%s:%d: the block does not end", page, s.line)
	}
	return list
}

// pages lists the documents by their names below the root, with their paths.
func pages(t *testing.T) map[string]string {
	t.Helper()
	root := reference.Root(t)
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(found) < 5 {
		t.Fatalf("%v: %v", found, err)
	}
	all := map[string]string{}
	for _, path := range found {
		all["docs/"+filepath.Base(path)] = path
	}
	return all
}

// reader is somebody who follows a page from its beginning, in an empty folder.
type reader struct {
	t      *testing.T
	dir    string
	env    []string
	known  string // what earlier blocks have set, as commands
	server *serving
}

// newReader makes the commands rwkv-gpu, which is this test, and curl, for which an error status is an error.
func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{t: t, dir: t.TempDir()}
	tools := t.TempDir()
	for name, text := range map[string]string{
		// Texts are short here, since they are made on the CPU. What measures for minutes, or needs a window, reads its flags alone.
		"rwkv-gpu": fmt.Sprintf(`#!/bin/sh
device='--device cpu'
case "$*" in *' --device '*) device='' ;; esac
case $1 in
chat | generate) set -- "$@" $device -n 8 ;;
bench | compare | devices | view) set -- "$@" --help ;;
*) set -- "$@" $device ;;
esac
%s=1 exec '%s' "$@"
`, childEnv, os.Args[0]),
		".curlrc": "fail-with-body\nsilent\nshow-error\nmax-time = 600\nnoproxy = 127.0.0.1\n",
	} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r.env = append(os.Environ(), "PATH="+tools+":"+os.Getenv("PATH"), "CURL_HOME="+tools, "HOME="+tools, "RWKV_API_KEY=")
	return r
}

// hub starts a hub of models and gives the reader an empty cache.
func (r *reader) hub() {
	r.t.Helper()
	r.env = append(r.env, "HF_ENDPOINT="+newHub(r.t).URL, "HF_TOKEN=", "HF_HUB_OFFLINE=", "HF_HUB_CACHE="+r.t.TempDir(),
		"XDG_DATA_HOME="+r.t.TempDir())
}

// leave ends the server, which has to end in order.
func (r *reader) leave() {
	if r.server == nil {
		return
	}
	if status := r.server.end(r.t, syscall.SIGTERM); status != statusDone {
		r.t.Errorf("the server ended with status %d: %s", status, r.server.log)
	}
	r.server = nil
}

// serve starts the server of a page's command, at another address.
func (r *reader) serve(command string) {
	r.t.Helper()
	r.leave()
	args := shellWords(command)
	r.server = startServingIn(r.t, r.dir, append(args[2:], "--listen", "127.0.0.1:0", "--device", "cpu", "--max-tokens", "200")...)
}

// run does what a block of commands says and returns what it writes.
func (r *reader) run(where, text string) string {
	r.t.Helper()
	if strings.HasPrefix(text, "rwkv-gpu serve") {
		r.serve(strings.TrimSpace(text))
		return ""
	}
	if r.server != nil {
		text = strings.ReplaceAll(text, "http://127.0.0.1:8080", r.server.url)
	}
	var stdout, stderr bytes.Buffer
	c := exec.Command("bash", "-e", "-u", "-o", "pipefail", "-c", r.known+text)
	for _, set := range regexp.MustCompile(`(?m)^\w+=.*\n`).FindAllString(text, -1) {
		r.known += set
	}
	c.Dir, c.Env, c.Stdout, c.Stderr = r.dir, r.env, &stdout, &stderr
	if err := c.Run(); err != nil {
		r.t.Errorf("%s: %v\n%s\nwrote %s\nand said %s", where, err, text, &stdout, &stderr)
	}
	if stdout.Len() == 0 && !strings.Contains(text, ">") && text != "rwkv-gpu chat\n" { // which has nobody to talk with
		r.t.Errorf("%s: it writes nothing\n%s", where, text)
	}
	return stdout.String()
}

// needs leaves the test out where the system has no such program, unless it was promised.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("RWKV_REQUIRE_CURL") == "1" {
				t.Fatal(err)
			}
			t.Skip(err)
		}
	}
}

// aside are the languages of blocks that no test can run: what needs root or other programs, and what they are to read.
var aside = []string{"text", "toml", "nginx"}

// What the pages tell a reader to type works, in the order of each page, with the embedded model.
func TestDocs(t *testing.T) {
	reference.RacedIn(t, "the tests of each command")
	needs(t, "bash", "curl")
	t.Setenv("RWKV_API_KEY", "sk-of-whoever-runs-this") // of no use here, nor is their proxy
	t.Setenv("http_proxy", "http://127.0.0.1:9")
	for name, path := range pages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReader(t)
			defer r.leave()
			if name == "docs/models.md" {
				r.hub()
			}
			for _, s := range snippets(t, path) {
				where := fmt.Sprintf("%s:%d", name, s.line)
				switch {
				case s.language == "sh":
					if strings.Contains(s.text, "8080") && r.server == nil && name == "docs/service.md" {
						r.serveUnit()
					}
					out := r.run(where, s.text)
					if r.server != nil {
						checkRequest(t, where, s.text, out, r.server.get(t, "/openapi.json"))
					}
				case s.language == "python":
					r.parses(where, s.text, "python3", "-c", "import ast, sys; ast.parse(sys.stdin.read())")
				case s.language == "js":
					r.parses(where, s.text, "node", "--check", "--input-type=module", "-")
				case !slices.Contains(aside, s.language):
					t.Errorf("%s: want a block of sh, python, js or of %v, got %q", where, aside, s.language)
				}
			}
		})
	}
}

// The commands of the README's list work in their order, with a small model in the place of FILE.
func TestReadmeUse(t *testing.T) {
	reference.Numbers(t)
	needs(t, "bash")
	_, text, _ := strings.Cut(document(t, "README.md"), "\n## Use\n\n")
	text, _, _ = strings.Cut(text, "\n\n")
	r := newReader(t)
	defer r.leave()
	r.hub()
	for name, data := range map[string][]byte{"rwkv7-0.4b-f16.gguf": standIns()["rwkv7-0.4b-f16.gguf"], "prompt.txt": []byte("Once"),
		"chat.json":      []byte(`[{"role":"user","content":"Hello!"}]`),
		"requests.jsonl": []byte(`{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"input":"Once"}}`)} {
		if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 10 {
		t.Errorf("only %d commands", len(lines))
	}
	for _, line := range lines {
		command, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
		command = strings.ReplaceAll(strings.TrimSpace(command), "FILE", "rwkv7-0.4b-f16.gguf")
		if strings.HasPrefix(command+" ", "rwkv-gpu chat ") {
			command = "echo Hello | " + command
		}
		r.run("README.md", command)
	}
}

// parses checks the syntax of a program in another language, where that is there. `make clients` runs the programs.
func (r *reader) parses(where, text, program string, args ...string) {
	r.t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		return
	}
	c := exec.Command(program, args...)
	c.Stdin = strings.NewReader(text)
	if out, err := c.CombinedOutput(); err != nil {
		r.t.Errorf("%s: %v: %s", where, err, out)
	}
}

// unit returns the values of a key of docs/rwkv-gpu.service.
func unit(t *testing.T, key string) (values []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "docs", "rwkv-gpu.service"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		t.Fatalf("docs/rwkv-gpu.service: want %s, got none", key)
	}
	return values
}

// serveUnit starts what the unit starts, with the key that the reader has made and a small model in the place of the one
// that it names.
func (r *reader) serveUnit() {
	r.t.Helper()
	key, err := os.ReadFile(filepath.Join(r.dir, "keys"))
	if err != nil {
		r.t.Fatal(err)
	}
	_, secret, _ := strings.Cut(strings.TrimSpace(string(key)), " ")
	r.env = append(r.env, "RWKV_API_KEY="+secret)
	command := unit(r.t, "ExecStart")[0]
	for name, data := range standIns() {
		command = strings.ReplaceAll(command, "/usr/local/share/rwkv-gpu/"+name, filepath.Join(r.dir, name))
		if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "rwkv_vocab_v20230424.txt"), worldOf(65530), 0o600); err != nil {
		r.t.Fatal(err)
	}
	command = strings.NewReplacer("${CREDENTIALS_DIRECTORY}", r.dir, "${CACHE_DIRECTORY}", r.dir).Replace(command)
	r.serve(command)
	for _, auth := range []string{"", "Bearer " + secret} {
		request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.server.url+"/v1/models", nil)
		if err != nil {
			r.t.Fatal(err)
		}
		request.Header.Set("Authorization", auth)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			r.t.Fatal(err)
		}
		_ = response.Body.Close()
		if (response.StatusCode == http.StatusOK) != (auth != "") {
			r.t.Errorf("key %q: %s", auth, response.Status)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "states")); err != nil {
		r.t.Error(err)
	}
}

// systemd understands the unit, and finds little that it could still forbid.
func TestUnit(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	text := strings.Join(unit(t, "ExecStart"), "")
	program, _, _ := strings.Cut(text, " ")
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "docs", "rwkv-gpu.service"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "rwkv-gpu.service")
	data = bytes.ReplaceAll(data, []byte(program), []byte(os.Args[0])) // which has to be there
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), path) {
		t.Errorf("%v: %s", err, out)
	}
	out, err := exec.Command(analyze, "--version").Output()
	var version int
	if _, scan := fmt.Sscanf(string(out), "systemd %d", &version); err != nil || scan != nil {
		t.Fatalf("%v, %v: %s", err, scan, out)
	}
	if version < 250 {
		t.Skipf("systemd %d cannot rate a file, as 250 can", version)
	}
	out, err = exec.Command(analyze, "security", "--offline=yes", "--no-pager", path).CombinedOutput()
	exposure := regexp.MustCompile(`Overall exposure level .*: (\d+\.\d) `).FindSubmatch(out)
	if err != nil || exposure == nil {
		t.Fatalf("%v: %s", err, out)
	}
	if level, err := strconv.ParseFloat(string(exposure[1]), 64); err != nil || level > 2.5 {
		t.Errorf("want 2.5 at most (%v): %s", err, out)
	}
}
