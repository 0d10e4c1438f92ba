package main

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/eval"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// heldOut are the flags by which eval reads the held-out text as the script of the model card does
// (model/demo/train/export.py): each document behind token 0, its first 2,000 tokens, its end predicted too.
func heldOut(t *testing.T, name string, more ...string) []string {
	t.Helper()
	path := reference.Shared(t, "demo-model", "held-out", name+".valid.txt")
	return append([]string{"eval", path, "--separator", "----", "--end", "--length", "2000"}, more...)
}

// The demo model's figures on held-out text are those of its card, which PyTorch computed. Books are read only where
// RWKV_QUALITY_TOKENS is set.
func TestEvalCard(t *testing.T) {
	reference.Numbers(t)
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "model", "demo", "metrics.json"))
	if err != nil {
		t.Fatal(err)
	}
	type figures struct {
		Tokens, Bytes int
		Nats          float64 `json:"nats_per_token"`
		Bits          float64 `json:"bits_per_byte"`
	}
	var card struct{ Stories, Books figures }
	if err := json.Unmarshal(data, &card); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]figures{"stories": card.Stories, "books": card.Books} {
		if name == "books" && os.Getenv("RWKV_QUALITY_TOKENS") == "" {
			continue
		}
		var got evaluated
		cliJSON(t, &got, heldOut(t, name, "--tokens", "21000", "--device", "cpu")...)
		if got.Tokens != want.Tokens || got.Bytes != want.Bytes || !(math.Abs(*got.NLL-want.Nats) < 1e-6) || !(math.Abs(*got.BitsPerByte-want.Bits) < 1e-6) {
			t.Errorf("%s: want %+v, got %+v, nll %v, %v bits per byte", name, want, got.Result, *got.NLL, *got.BitsPerByte)
		}
		if *got.Perplexity != math.Exp(*got.NLL) || got.N == 0 || got.Rate <= 0 || !strings.HasPrefix(got.Device, "CPU (") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// Devices agree, whatever runs at once and however text is cut.
func TestEvalDevices(t *testing.T) {
	var want float64
	devices(t, func(t *testing.T, device string) {
		for _, more := range [][]string{nil, {"--batch", "1", "--chunk", "50"}} {
			var got evaluated
			cliJSON(t, &got, append(heldOut(t, "stories", "--tokens", "700", "--device", device), more...)...)
			if want == 0 {
				want = *got.Perplexity
			}
			if !(math.Abs(*got.Perplexity/want-1) < 1e-5) {
				t.Errorf("%s %v: want perplexity %v, got %v", device, more, want, *got.Perplexity)
			}
		}
	})
}

// A text is one document, of which a state in the middle makes no difference; JSON lines are a document each.
func TestEvalForms(t *testing.T) {
	text := "Once upon a time there was a fox.\nThe fox was sad."
	file := writeFile(t, "story.txt", []byte(text))
	var whole, piped, lines evaluated
	cliJSON(t, &whole, "eval", file, "--device", "cpu", "--chunk", "5")
	r := cliWith(context.Background(), text, nil, "eval", "-", "--device", "cpu", "--json", "--quiet")
	if r.status != statusDone {
		t.Fatal(r)
	}
	decode(t, r.stdout, &piped)
	encoded, _ := json.Marshal(map[string]string{"text": text})
	cliJSON(t, &lines, "eval", writeFile(t, "story.jsonl", append(append(encoded, '\n'), encoded...)), "--device", "cpu")
	if whole.N != 1 || whole.Bytes != len(text) || *whole.NLL != *piped.NLL || lines.N != 2 || math.Abs(*lines.NLL-*whole.NLL) > 1e-9 {
		t.Errorf("%+v, nll %v; %+v, nll %v; %+v, nll %v", whole, *whole.NLL, piped, *piped.NLL, lines, *lines.NLL)
	}
	var none evaluated
	cliJSON(t, &none, "eval", file, "--device", "cpu", "--begin", "none")
	if none.Tokens != whole.Tokens-1 || none.Bytes != len(text)-len("Once") {
		t.Errorf("without a token before it: %+v", none)
	}
	said := cli("eval", file, "--device", "cpu")
	for _, want := range []string{"perplexity: ", "bits per byte: ", "tokens in 1 document; intervals: Student's t distribution over 1 block of 256 tokens\ndemo on CPU ("} {
		if said.status != statusDone || !strings.Contains(said.stdout, want) {
			t.Errorf("want %q, got %s", want, said)
		}
	}
}

// --min and --max decide the status after the result.
func TestEvalChecks(t *testing.T) {
	story := writeFile(t, "story.txt", []byte("Once upon a time there was a fox."))
	passages := writeFile(t, "p.jsonl", []byte(`{"text":"The dog saw a photosynthesis"}`))
	questions := writeFile(t, "q.jsonl", []byte(`{"text":"Once upon a","choices":["time","fish"],"gold":0}`))
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{story, "--max", "100000"}, statusDone, ""},
		{[]string{story, "--max", "1"}, statusFailed, "eval: perplexity: want at most 1 (--max), got "},
		{[]string{passages, "--task", "lambada", "--min", "0"}, statusDone, ""},
		{[]string{passages, "--task", "lambada", "--min", "0.5"}, statusFailed, "eval: accuracy: want at least 0.5 (--min), got 0"},
		{[]string{questions, "--task", "choice", "--min", "1"}, statusDone, ""},
	} {
		r := cli(append([]string{"eval", "--device", "cpu", "--quiet"}, c.args...)...)
		if r.stdout == "" {
			t.Errorf("%q: no result", c.args)
		}
		if c.status == statusDone {
			if r.status != c.status || r.stderr != "" {
				t.Errorf("%q: %s", c.args, r)
			}
			continue
		}
		wantError(t, r, c.status, c.want)
	}
}

// Wrong usage and wrong files.
func TestEvalErrors(t *testing.T) {
	story := writeFile(t, "story.txt", []byte("Once upon a time"))
	empty := writeFile(t, "empty.txt", nil)
	for _, c := range []struct {
		args   string // separated by |
		status int
		want   string
	}{
		{"", statusUsage, "file: want one file to evaluate"},
		{story + "|--task|hellaswag", statusUsage, `--task: want text, lambada or choice, got "hellaswag"`},
		{story + "|--task|lambada|--end", statusUsage, "--end: want it with task text, got task lambada"},
		{story + "|--min|0.5", statusUsage, "--min: want an accuracy of 0 to 1"},
		{story + "|--max|0", statusUsage, "--max: want a perplexity of at least 1"},
		{story + "|--begin|4096", statusUsage, `--begin: want auto, none or an id below 4096, got "4096"`},
		{story + "|--chunk|0", statusUsage, "--chunk: want 1 to "},
		{story + "|--batch|0", statusUsage, "--batch: want 1 to "},
		{story + "|--kl=false", statusUsage, "--kl: want types in --quants with it, got none"},
		{story + "|--quants|none,q9", statusUsage, `--quants: want some of none, q8_0, `},
		{story + "|--quants|none,none", statusUsage, "--quants: want different types, got none twice"},
		{story + "|--quants|none|--quant|q8_0", statusUsage, "--quants: want it without --quant"},
		{empty, statusInput, empty + ": want text of which something is to be predicted"},
		{story + "|--task|choice", statusInput, story + ": line 1: want a JSON object"},
		{story + "x", statusInput, "story.txtx: open: no such file"},
	} {
		args := []string{"eval"}
		if c.args != "" {
			args = append(args, strings.Split(c.args, "|")...)
		}
		r := cli(args...)
		wantError(t, r, c.status, c.want)
		if r.stdout != "" {
			t.Errorf("%q: stdout %q", c.args, r.stdout)
		}
	}
}

// One command makes the table of quantizations.
func TestEvalQuants(t *testing.T) {
	reference.Numbers(t)
	story := writeFile(t, "story.txt", []byte("Once upon a time there was a fox. The fox was sad."))
	var table eval.Table
	cliJSON(t, &table, "eval", story, "--device", "cpu", "--quants", "none,q4_k", "--repeat", "0")
	if len(table.Rows) != 2 || table.Rows[1].Quant != "q4_k" || table.Rows[1].KL == nil || !(*table.Rows[1].KL > 0) || table.Rows[1].Decode != nil {
		t.Errorf("%+v", table)
	}
	r := cli("eval", story, "--device", "cpu", "--quants", "none,q4_k", "--repeat", "0", "--markdown", "--quiet")
	if r.status != statusDone || r.stderr != "" || strings.Count(r.stdout, "\n") != 4 || !strings.HasPrefix(r.stdout, "| quant | bits a weight |") {
		t.Error(r)
	}
}
