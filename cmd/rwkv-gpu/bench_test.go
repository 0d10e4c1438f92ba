package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
)

// The keys are those that scripts may rely on.
func TestBenchJSON(t *testing.T) {
	model := tinyModel(t, nil)
	devices(t, func(t *testing.T, device string) {
		r := cli("bench", "--model", model, "--device", device, "--pp", "20,3", "--tg", "4", "--batch", "1,2", "--depth", "0,5", "--repeat", "2",
			"--chunk", "8", "--ops", "--json", "--quiet")
		if r.status != statusDone || r.stderr != "" {
			t.Fatal(r)
		}
		var full bench.Report
		decode(t, r.stdout, &full)
		var keys map[string]any
		if err := json.Unmarshal([]byte(r.stdout), &keys); err != nil {
			t.Fatal(err)
		}
		want := func(in map[string]any, names ...string) {
			t.Helper()
			for _, n := range names {
				if _, ok := in[n]; !ok {
					t.Errorf("no %q in %v", n, in)
				}
			}
		}
		want(keys, "device", "model", "quant", "results", "limits")
		want(keys["limits"].(map[string]any), "read_gb_per_s", "fma_gflops")
		results := keys["results"].([]any)
		for _, x := range results {
			want(x.(map[string]any), "test", "batch", "depth", "tokens_per_s", "gb_per_s", "gflops", "of_limit")
			want(x.(map[string]any)["tokens_per_s"].(map[string]any), "median", "min", "max")
		}
		if len(results) != 12 || full.Device == "" || full.Quant != "none" || !strings.Contains(full.Model, "tiny.safetensors") || len(full.Ops) == 0 {
			t.Errorf("%+v", full)
		}
	})
}

// What one run wrote, another shows in every form, compares with and draws.
func TestBenchForms(t *testing.T) {
	args := []string{"bench", "--model", tinyModel(t, nil), "--device", "cpu", "--pp", "8", "--tg", "2", "--batch", "1,3", "--repeat", "4"}
	r := cli(append(args, "--json")...)
	if r.status != statusDone || !strings.Contains(r.stderr, "measuring at depth 0\n") {
		t.Fatal(r)
	}
	old := writeFile(t, "old.json", []byte(r.stdout))
	name := filepath.Join(t.TempDir(), "rates.svg")
	r = cli(append(args, "--compare", old, "--plot", name, "--quiet")...)
	if r.status != statusDone || r.stderr != "" || !strings.Contains(r.stdout, "verdict") || strings.Count(r.stdout, "\ntg2 ") != 2+2 {
		t.Error(r)
	}
	for _, what := range []string{"decode-roofline", "decode-batch", "prefill-roofline", "prefill-batch"} {
		if data, err := os.ReadFile(strings.TrimSuffix(name, ".svg") + "-" + what + ".svg"); err != nil || !strings.Contains(string(data), "</svg>") {
			t.Errorf("%s: %d bytes, %v", what, len(data), err)
		}
	}
	if r = cli("bench", "--from", old, "--csv", "--quiet"); r.status != statusDone {
		t.Fatal(r)
	}
	rows, err := csv.NewReader(strings.NewReader(r.stdout)).ReadAll()
	if err != nil || len(rows) != 5 || !slices.Contains(rows[0], "tokens_per_s") {
		t.Error(err, rows)
	}
	if r = cli("bench", "--from", old, "--markdown", "--compare", old); r.status != statusDone || strings.Count(r.stdout, "| same |") != 4 {
		t.Error(r)
	}
	if r = cli("bench", "--from", old, "--json"); r.status != statusDone {
		t.Error(r)
	}
	if was, _ := os.ReadFile(old); r.stdout != string(was) {
		t.Errorf("want %s, got %s", was, r.stdout)
	}
}

func TestBenchSynthetic(t *testing.T) {
	var in modelInfo
	cliJSON(t, &in, "info", "--model", "synthetic:2.9B")
	if in.Parameters != 2_947_735_040 || in.Layers != 32 || in.Format != "synthetic" {
		t.Errorf("%+v", in)
	}
	wantError(t, cli("info", "--model", "synthetic:3b"), statusUsage, "--model: want one of 0.1b,", `got "3b"`)
	// A size is checked, and then made up: interrupted before it takes long.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if r := cliWith(ctx, "", nil, "bench", "--synthetic", "0.1b", "--device", "cpu"); r.status != statusInterrupted {
		t.Error(r)
	}
}

func TestBenchUsage(t *testing.T) {
	bad := writeFile(t, "bad.json", []byte(`{"results":[]}`))
	for args, want := range map[string]string{
		"--pp|x":                        `--pp: want numbers of 1 to 1048576 such as 1,8, got "x"`,
		"--pp|8,8":                      "--pp: want different numbers, got 8 twice",
		"--pp|8,0":                      `got "0"`,
		"--pp|0|--tg|0":                 "--pp: want a length here, with --tg or with --gen",
		"--batch|0":                     `--batch: want numbers of 1 to 4096`,
		"--depth|-1":                    `--depth: want numbers of 0 to`,
		"--repeat|0":                    "--repeat: want 1 to 100, got 0",
		"--json|--csv":                  "at most one of --json, --csv and --markdown",
		"--plot|x.pdf":                  "--plot: want a name that ends in .svg or .png",
		"--synthetic|3b":                "--synthetic: want one of 0.1b",
		"--synthetic|0.1b|--model|x.st": "--synthetic: want it without --model",
	} {
		wantError(t, cli(append([]string{"bench"}, strings.Split(args, "|")...)...), statusUsage, want)
	}
	wantError(t, cli("bench", "--from", bad), statusInput, "bad.json: results: want the JSON of bench --json, got no results")
	wantError(t, cli("bench", "--compare", "/nonexistent.json"), statusInput, "/nonexistent.json: open")
}
