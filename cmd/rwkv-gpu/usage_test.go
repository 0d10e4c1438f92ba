package main

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
)

// Wrong command lines end with status 2 before anything is opened.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string // separated by |
		want string
	}{
		{"generat", `unknown command "generat" for "rwkv-gpu", did you mean generate?`},
		{"talk", `unknown command "talk"`},
		{"help|nope", `unknown command "nope"`},
		{"--nope", "unknown flag: --nope"},
		{"generate|x|--nope", "generate: unknown flag: --nope (see rwkv-gpu generate --help)"},
		{"generate", "generate: prompt: want a text"},
		{"generate|", "generate: prompt: want a text, got an empty one"},
		{"generate|-", "generate: prompt: want a text, got an empty one"},
		{"generate|once|upon", "argument: want one text, got 2"},
		{"generate|a\xffb", "prompt: want UTF-8 text, got byte 0xff at offset 1"},
		{"generate|x|-n|-1", "--max-tokens: want 0 or more, got -1"},
		{"generate|x|-n|many", `--max-tokens: want a whole number, got "many"`},
		{"generate|x|-n", "--max-tokens: want a value, got none"},
		{"generate|x|--temperature|-1", "--temperature: want a finite value >= 0, got -1"},
		{"generate|x|--temperature|NaN", "--temperature: want"},
		{"generate|x|--temperature|hot", `--temperature: want a number, got "hot"`},
		{"generate|x|--top-p|1.5", "--top-p: want a value in [0, 1], got 1.5"},
		{"generate|x|--top-k|-1", "--top-k: want a value >= 0, got -1"},
		{"generate|x|--min-p|2", "--min-p: want"},
		{"generate|x|--presence|1e9", "--presence: want"},
		{"generate|x|--frequency|Inf", "--frequency: want"},
		{"generate|x|--penalty-decay|-0.1", "--penalty-decay: want"},
		{"generate|x|--seed|-1", "--seed: want a whole number"},
		{"generate|x|--stop|", "--stop: want UTF-8 text that is not empty"},
		{"generate|x|--quant|q9", `--quant: want one of none, q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, iq4_nl, q4_0, q3_k, got "q9"`},
		{"info|--quant|f16", `--quant: want one of none, q8_0, `},
		{"generate|x|--group-norm-eps|2", "--group-norm-eps: want 64e-5 or 1e-5, got 2"},
		{"generate|x|--group-norm-eps|0", "--group-norm-eps: want 64e-5 or 1e-5, got 0"},
		{"generate|x|--group-norm-eps|1e-5", "--group-norm-eps: only RWKV-5 has it, demo is v7"},
		{"generate|x|--model|", "--model: want a file, got an empty name"},
		{"generate|x|--device|", "--device: want a value, got an empty one"},
		{"logits", "want either --tokens or --prompt, got none"},
		{"logits|--tokens|1|--prompt|x", "want either --tokens or --prompt, got both"},
		{"logits|--tokens|", "--tokens: want token ids such as 1,2,3, got none"},
		{"logits|--tokens|1,-2", `--tokens: want token ids such as 1,2,3, got "-2"`},
		{"logits|--tokens|1,4096", "--tokens: token 1: want an id below 4096, got 4096"},
		{"logits|--tokens|99999999999999999999", "--tokens: want token ids"},
		{"logits|--prompt|", "prompt: want a text"},
		{"logits|--prompt|\xc3", "prompt: want UTF-8 text, got byte 0xc3 at offset 0"},
		{"logits|--tokens|1|--chunk|0", "--chunk: want 1 or more, got 0"},
		{"logits|--tokens|1|--state-in|", "--state-in: want a file"},
		{"logits|--tokens|1|--state-layout|rwkv", `--state-layout: want auto, original or web-rwkv, got "rwkv"`},
		{"logits|--tokens|1|--state-layout|original", "--state-layout: want a state too, got none to read as original"},
		{"logits|1", `argument: want none, got "1"`},
		{"tokenize", "text: want either a text"},
		{"tokenize|x|--decode|1", "text: want either a text (- for standard input) or --decode, got both"},
		{"tokenize|--decode|x", "--decode: want token ids"},
		{"tokenize|--decode|4096", "--decode: token 0: want an id below 4096, got 4096"},
		{"info|model.st", `want none, got "model.st" (a model file goes with --model)`},
		{"compare|--tokens|5000", "--tokens: token 0: want an id below 4096"},
		{"version|--json=maybe", `--json: want true or false, got "maybe"`},
	} {
		r := cli(strings.Split(c.args, "|")...)
		wantError(t, r, statusUsage, c.want)
		if r.stdout != "" {
			t.Errorf("%q: stdout %q", c.args, r.stdout)
		}
	}
}

// Help is no error, and every command has some with an account of its flags.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"--help"}, {"help"}} {
		r := cli(args...)
		if r.status != statusDone || r.stderr != "" || !strings.Contains(r.stdout, "Exit status: 0 done") {
			t.Errorf("%q: %s", args, r)
		}
	}
	for _, name := range []string{"generate", "logits", "tokenize", "prompt", "info", "devices", "compare", "bench", "convert", "quantize", "version"} {
		for _, args := range [][]string{{name, "--help"}, {"help", name}} {
			r := cli(args...)
			if r.status != statusDone || r.stderr != "" || !strings.Contains(r.stdout, "--device DEVICE") {
				t.Errorf("%q: %s", args, r)
			}
		}
	}
}

// version says what the binary is made of, and what it says is so.
func TestVersion(t *testing.T) {
	var v versionInfo
	cliJSON(t, &v, "version")
	m, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	sum := sha256.Sum256(demo.Weights())
	if v.Demo != (demoBuild{m.Version, m.Parameters(), len(demo.Weights()), hex.EncodeToString(sum[:])}) {
		t.Errorf("%+v", v.Demo)
	}
	if v.Version == "" || v.Models == "" || v.Go != runtime.Version() || v.OS != runtime.GOOS || v.Arch != runtime.GOARCH || v.Window != hasWindow {
		t.Errorf("%+v", v)
	}
	if !regexp.MustCompile(`^(GCC|.*[Cc]lang|.*LLVM) \d`).MatchString(v.Compiler) || len(v.Kernels) != 16 {
		t.Errorf("%+v", v)
	}
	for _, level := range append(v.CPU.Here, v.CPU.Level) {
		if !slices.Contains(v.CPU.Built, level) {
			t.Errorf("level %q runs, but is not built: %+v", level, v.CPU)
		}
	}
	if runtime.GOARCH == "amd64" && !slices.Equal(v.CPU.Built, []string{"generic", "avx2", "avx512"}) {
		t.Errorf("%+v", v.CPU)
	}
	r := cli("version")
	if r.status != statusDone || !strings.HasPrefix(r.stdout, "rwkv-gpu "+v.Version+"\n") {
		t.Error(r)
	}
	for _, part := range []string{v.Compiler, v.Kernels, v.Models, v.Demo.SHA256, v.OS + "/" + v.Arch, "generic, "} {
		if !strings.Contains(r.stdout, part) {
			t.Errorf("want %q in %s", part, r)
		}
	}
	if r := cli("--version"); r.status != statusDone || r.stdout != "rwkv-gpu "+v.Version+"\n" {
		t.Error(r)
	}
	t.Setenv("RWKV_CPU", "sse9")
	if r := cli("version"); r.status != statusDone || !strings.Contains(r.stdout, "RWKV_CPU names none of them") {
		t.Error(r)
	}
}

// A linker's flag names the version of source without Git.
func TestVersionOfRelease(t *testing.T) {
	t.Cleanup(func() { release = "" })
	release = "v9.8.7"
	if r := cli("--version"); r.stdout != "rwkv-gpu v9.8.7\n" {
		t.Error(r)
	}
	v := versionInfo{Version: "v1", Commit: "abc", Time: "2026-01-02T03:04:05Z", Modified: true, Window: true, Tags: []string{"view", "vulkan"}}
	for _, part := range []string{"abc of 2026-01-02T03:04:05Z, changed since\n", "with the window of view, tag view, tag vulkan\n"} {
		if !strings.Contains(v.text(), part) {
			t.Errorf("want %q in %s", part, v.text())
		}
	}
}

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                "plain",
		"first\nfirst\nsecond": "first; second",
		"tab\there\r\x1b[1m":   `tab\there\r\x1b[1m`,
		"bad \xff byte, ü":     "bad \ufffd byte, ü",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q): want %q, got %q", in, want, got)
		}
	}
}

// A level of processor features that is not here is wrong usage of a variable: the error names it, what may stand there
// and what does.
func TestWrongLevel(t *testing.T) {
	t.Setenv("RWKV_CPU", "sse9")
	for _, args := range [][]string{{"generate", "x", "-n", "1"}, {"logits", "--tokens", "1"}, {"bench", "--pp", "2", "--tg", "1"}, {"compare"}} {
		wantError(t, cli(append(args, "--device", "cpu")...), statusUsage, "RWKV_CPU: want one of generic", `got "sse9"`)
	}
	t.Setenv(childEnv, "1")
	r := cli("doctor", "--device", "cpu")
	if r.status != statusFailed || strings.Count(r.stdout, "RWKV_CPU: want one of") != 1 || !strings.Contains(r.stdout, "unset RWKV_CPU") {
		t.Error(r)
	}
}
