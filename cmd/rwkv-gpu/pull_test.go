package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/hub/hubtest"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

const (
	pullRepo = "BlinkDL/rwkv7-g1"
	pullFile = "rwkv7-g1d-0.4b-20260210-ctx8192.pth"
	pullName = "g1:0.4b@20260210"
)

// newHub returns a hub with two small models of one family, and their vocabulary.
func newHub(t *testing.T) *hubtest.Server {
	t.Helper()
	s := hubtest.New(t)
	s.Put(pullRepo, pullFile, standIns()["rwkv7-g1-0.1b.pth"])
	s.Put(pullRepo, "rwkv7-g1a-0.4b-20250905-ctx4096.pth", []byte("older, and no model"))
	s.Put(pullRepo, load.WorldVocab, worldOf(65530))
	return s
}

// atHub makes commands ask a hub, and returns the empty cache that they have.
func atHub(t *testing.T, s *hubtest.Server) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "hub")
	for name, value := range map[string]string{"HF_ENDPOINT": s.URL, "HF_HUB_CACHE": dir, "HF_TOKEN": "", "HF_TOKEN_PATH": filepath.Join(dir, "none"),
		"HF_HUB_OFFLINE": "", "XDG_DATA_HOME": t.TempDir()} {
		t.Setenv(name, value)
	}
	return dir
}

// A pulled model runs by its name in every command, and is listed, found and removed by it.
func TestPullAndRun(t *testing.T) {
	s := newHub(t)
	dir := atHub(t, s)
	wantError(t, cli("generate", "Hello", "--model", "g1:0.4b"), statusInput,
		"generate: --model: no model g1:0.4b here: 'rwkv-gpu pull g1:0.4b' fetches it")
	var p pulledModel
	cliJSON(t, &p, "pull", "g1:0.4b")
	if p.Name != pullName || !strings.HasPrefix(p.Path, dir) || filepath.Base(p.Path) != pullFile || p.Reused ||
		filepath.Base(p.Vocabulary) != load.WorldVocab || p.SHA256 != hubtest.SHA256(standIns()["rwkv7-g1-0.1b.pth"]) {
		t.Errorf("%+v", p)
	}
	for _, args := range [][]string{{"generate", "Hello", "-n", "2"}, {"info"}, {"logits", "--tokens", "1,2"}, {"tokenize", "Hello"}} {
		for _, name := range []string{"g1:0.4b", pullName, "hf:" + pullRepo + "/" + pullFile} {
			if r := cli(append(args, "--model", name, "--device", "cpu", "--quiet")...); r.status != statusDone {
				t.Errorf("%q: %s", args, r)
			}
		}
	}
	var all struct {
		Models     []hereModel
		Unfinished []partModel
	}
	cliJSON(t, &all, "models")
	if len(all.Models) != 1 || len(all.Unfinished) != 0 {
		t.Fatalf("%+v", all)
	}
	if m := all.Models[0]; m.Name != pullName || m.Path != p.Path || m.Bytes != p.Bytes || m.Version != "v7" || m.Parameters == 0 || m.Quant != "bf16" || m.Error != "" {
		t.Errorf("%+v", m)
	}
	if r := cli("models"); r.status != statusDone || !strings.Contains(r.stdout, pullName) || !strings.Contains(r.stdout, "bf16") {
		t.Error(r)
	}
	if r := cli("models", "where", "g1:0.4b"); r.stdout != p.Path+"\n" {
		t.Error(r)
	}
	if r := cli("models", "where"); r.stdout != dir+"\n" {
		t.Error(r)
	}
	cliJSON(t, &p, "pull", "g1:0.4b")
	if !p.Reused || p.Fetched != 0 {
		t.Errorf("want it to be there, got %+v", p)
	}
	if r := cli("models", "rm", "g1:0.4b"); r.status != statusDone || !strings.Contains(r.stdout, "removed "+pullName) {
		t.Error(r)
	}
	wantError(t, cli("models", "rm", "g1:0.4b"), statusInput, "models rm: NAME: no model g1:0.4b here")
}

// A repository of which several models are here is no name of one, for --model and for rm.
func TestSeveralHere(t *testing.T) {
	atHub(t, newHub(t))
	for _, name := range []string{"g1:0.4b@20250905", pullName} {
		if r := cli("pull", name); r.status != statusDone {
			t.Fatal(r)
		}
	}
	for _, args := range [][]string{{"info", "--model"}, {"models", "rm"}} {
		wantError(t, cli(append(args, "hf:"+pullRepo)...), statusInput, "want one model, got hf:"+pullRepo+", which has ")
	}
}

// A model of --dir is found again without the flag.
func TestPullDir(t *testing.T) {
	atHub(t, newHub(t))
	dir := filepath.Join(t.TempDir(), "mine")
	var p pulledModel
	cliJSON(t, &p, "pull", "g1:0.4b", "--dir", dir)
	if !strings.HasPrefix(p.Path, dir) {
		t.Errorf("want it in %s, got %+v", dir, p)
	}
	if r := cli("info", "--model", "g1:0.4b"); r.status != statusDone {
		t.Error(r)
	}
}

// What can be had is listed with its names, and whether it is here.
func TestPullList(t *testing.T) {
	atHub(t, newHub(t))
	var all struct{ Models []publishedModel }
	cliJSON(t, &all, "pull", "--list")
	want := []publishedModel{
		{pullName, pullRepo, pullFile, int64(len(standIns()["rwkv7-g1-0.1b.pth"])), false},
		{"g1:0.4b@20250905", pullRepo, "rwkv7-g1a-0.4b-20250905-ctx4096.pth", 19, false},
	}
	if !slices.Equal(all.Models, want) {
		t.Errorf("want %+v, got %+v", want, all.Models)
	}
}

// Each kind of failure has its exit status, and one line that names what failed.
func TestPullFails(t *testing.T) {
	s := newHub(t)
	atHub(t, s)
	for _, c := range []struct {
		args   string // separated by |
		fault  string
		status int
		want   string
	}{
		{"pull", "", statusUsage, "NAME: want one model, such as g1:0.4b, got 0 arguments"},
		{"pull|g9:1b", "", statusUsage, `NAME: want a family of g1, g1-st, latest, world, world6, raven, got "g9:1b"`},
		{"pull|g1:0.4b|--connections|0", "", statusUsage, "--connections: want 1 to 64, got 0"},
		{"pull|g1:0.4b|--endpoint|nowhere", "", statusUsage, "--endpoint: want an address that begins with https://"},
		{"pull|--list|x", "", statusUsage, "want none with --list"},
		{"info|--model|g9:1b", "", statusUsage, "--model: want a family of g1,"},
		{"models|where|nothing", "", statusUsage, "NAME: want a name such as g1:2.9b"},
		{"pull|https://h.example/download?id=7", "", statusUsage, "NAME: want an address of a file that ends in .pth, "},
		{"pull|https://me:word@h.example/x.pth", "", statusUsage, "NAME: want an address without a user and a password"},
		{"pull|hf:" + pullRepo + "/" + load.WorldVocab, "", statusInput, "want a file that ends in .pth, "},
		{"pull|g1:9b", "", statusInput, "want a file of g1:9b, got "},
		{"pull|hf:o/r", "", statusInput, "404 Not Found"},
		{"pull|g1:0.4b", "flip", statusInput, "want sha256 "},
		{"pull|g1:0.4b|--tries|1", "reset", statusFailed, "gave up after 1 failure without progress"},
	} {
		s.Fault = nil
		if c.fault != "" {
			s.Fault = func(r *http.Request) *hubtest.Fault {
				if strings.Contains(r.URL.Path, load.WorldVocab) {
					return nil
				}
				return &hubtest.Fault{Kind: c.fault}
			}
		}
		r := cli(append(strings.Split(c.args, "|"), "--quiet")...)
		wantError(t, r, c.status, c.want)
	}
	var all struct {
		Models     []hereModel
		Unfinished []partModel
	}
	cliJSON(t, &all, "models")
	if len(all.Unfinished) != 1 || all.Unfinished[0].Name != pullName {
		t.Errorf("want what is unfinished, got %+v", all)
	}
	if r := cli("models", "rm", "g1:0.4b"); r.status != statusDone {
		t.Error(r)
	}
	t.Setenv("HF_HUB_OFFLINE", "1")
	wantError(t, cli("pull", "g1:0.4b"), statusFailed, "HF_HUB_OFFLINE: is set")
}

// A file with the name of a model is that file.
func TestFileNamedAsModel(t *testing.T) {
	atHub(t, newHub(t))
	t.Chdir(t.TempDir())
	if err := os.WriteFile("g1:0.4b", standIns()["rwkv7-0.4b-f16.gguf"], 0o600); err != nil {
		t.Skip(err) // a system without such names
	}
	if r := cli("info", "--model", "g1:0.4b"); r.status != statusDone || !strings.Contains(r.stdout, "GGUF") && !strings.Contains(r.stdout, "gguf") {
		t.Error(r)
	}
}
