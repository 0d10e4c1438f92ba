//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/bench"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// A whole process of this program is timed, with what it has in memory.
func TestBenchFirst(t *testing.T) {
	reference.RacedIn(t, "package bench")
	t.Setenv(childEnv, "1")
	model := tinyModel(t, nil)
	r := cli("bench", "--model", model, "--device", "cpu", "--pp", "0", "--tg", "2", "--first", "3,40", "--repeat", "2", "--warmup", "0", "--json", "--quiet")
	if r.status != statusDone {
		t.Fatal(r)
	}
	var full bench.Report
	decode(t, r.stdout, &full)
	if len(full.First) != 2 || full.First[0].Test != "first3" || full.First[1].Test != "first40" || len(full.First[1].Seconds.Samples) != 2 || full.First[1].Seconds.Min < 1e-4 {
		t.Errorf("%+v", full.First)
	}
	for _, f := range full.First {
		if f.Peak != nil && (f.Peak.Min < 1<<20 || f.Peak.Max > 1<<32) {
			t.Errorf("%+v", f.Peak)
		}
	}
	wantError(t, cli("bench", "--synthetic", "0.1b", "--first", "100"), statusUsage, "--first: want a model in a file, which 'rwkv-gpu convert FILE --model synthetic:0.1b' writes")
	wantError(t, cli("bench", "--first", "16385"), statusUsage, "--first: want numbers of 1 to 16384")
	// What a process of this program says is what this one says.
	wantError(t, cli("bench", "--model", model, "--device", "none such", "--first", "3", "--quiet"), statusDevice, "a process of this program: generate: ", `"none such"`)
}

// peerProgram writes what llama-bench writes, with the given tokens per second and device.
const peerProgram = `#!/bin/sh
while [ $# -gt 0 ]; do
	case $1 in -p) p=$2;; -n) n=$2;; -t) t=$2;; esac
	shift
done
line='"build_commit":"c0de","build_number":7,"backends":"CPU","n_gpu_layers":0,"n_threads":'$t
for x in $(echo $p | tr , ' '); do [ $x = 0 ] || echo "{$line,\"n_prompt\":$x,\"n_gen\":0,\"avg_ts\":1000}"; done
for x in $(echo $n | tr , ' '); do [ $x = 0 ] || echo "{$line,\"n_prompt\":0,\"n_gen\":$x,\"avg_ts\":100}"; done
`

func TestBenchPeer(t *testing.T) {
	reference.RacedIn(t, "package bench")
	t.Setenv(childEnv, "1")
	peer := writeFile(t, "llama-bench", []byte(peerProgram))
	if err := os.Chmod(peer, 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	model := writeFile(t, "m.gguf", weightstest.GGUF(weightstest.LlamaMeta(weightstest.Tiny), weightstest.Llama(baseOf("v7"))))
	args := []string{"bench", "--peer", peer, "--model", model, "--device", "cpu", "--pp", "8", "--tg", "4", "--repeat", "2"}
	var v bench.Versus
	cliJSON(t, &v, append(args, "--first", "5", "--threads", "3")...)
	if len(v.Rows) != 4 || v.Rows[0].Test != "pp8" || v.Rows[0].Peer.Median != 1000 || v.Rows[1].Peer.Median != 100 || v.Rows[2].Test != "first5" ||
		len(v.Rows[1].Ratio.Samples) != 2 || v.Rows[1].Ratio.Min <= 0 || !strings.HasPrefix(v.Ours.Device, "CPU") || !strings.Contains(v.Ours.Device, "3 threads") ||
		v.Ours.Threads != 3 || v.Peer.Threads != 3 {
		t.Errorf("%+v", v)
	}
	r := cli(append(args, "--markdown")...)
	if r.status != statusDone || !strings.Contains(r.stdout, "| pp8 | 1 | tokens/s | ") || !strings.Contains(r.stdout, "| first100 | 1 | s to the first token | ") ||
		!strings.Contains(r.stderr, "taking turns with the peer") {
		t.Error(r)
	}
	for _, more := range [][]string{{"--depth", "5"}, {"--ops"}, {"--csv"}, {"--plot", "x.svg"}, {"--gen", "5"}, {"--compare", "x.json"}} {
		wantError(t, cli(append(args, more...)...), statusUsage, "--peer: want it without "+more[0]+", got both")
	}
	wantError(t, cli(append(args, "--quant", "q8_0")...), statusUsage, "--peer: want weights as stored")
	wantError(t, cli("bench", "--peer", peer), statusUsage, "--peer: want --model FILE, a GGUF file")
	wantError(t, cli("bench", "--peer", ""), statusUsage, "--peer: want a llama-bench program")
	wantError(t, cli("bench", "--peer", peer, "--synthetic", "0.1b"), statusUsage, "--peer: want --model FILE")
	wantError(t, cli("bench", "--peer", peer, "--model", "synthetic:0.1b"), statusUsage, "--peer: want a model in a file, which 'rwkv-gpu convert")
	none := filepath.Join(t.TempDir(), "none")
	wantError(t, cli("bench", "--peer", none, "--model", model), statusInput, "--peer: "+none+": want a llama-bench program: ")
	wantError(t, cli("bench", "--peer", peer, "--model", tinyModel(t, nil)), statusInput, "tiny.safetensors: want a GGUF file, which both programs read")
	wantError(t, cli(append(args, "--batch", "1,2")...), statusInput, "llama-batched-bench: want it beside llama-bench")
	failing := writeFile(t, "llama-bench", []byte("#!/bin/sh\necho cannot load >&2\nexit 1\n"))
	if err := os.Chmod(failing, 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	wantError(t, cli("bench", "--peer", failing, "--model", model, "--device", "cpu", "--pp", "8", "--tg", "0", "--quiet"), statusInput, "--peer: llama-bench: exit status 1: cannot load")
	wantError(t, cli("bench", "--peer", peer, "--model", model, "--device", "none such", "--quiet"), statusDevice, `"none such"`)
	// What a process of this program says is said: here the peer takes the model away between two turns.
	gone := writeFile(t, "gone.gguf", weightstest.GGUF(weightstest.LlamaMeta(weightstest.Tiny), weightstest.Llama(baseOf("v7"))))
	taking := writeFile(t, "llama-bench", []byte(strings.Replace(peerProgram, "\n", "\nrm -f '"+gone+"'\n", 1)))
	if err := os.Chmod(taking, 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	wantError(t, cli("bench", "--peer", taking, "--model", gone, "--device", "cpu", "--pp", "8", "--tg", "4", "--repeat", "2", "--quiet"), statusInput,
		"a process of this program: generate: ", "gone.gguf")
	t.Setenv("RWKV_CPU", "none such")
	wantError(t, cli(append(args, "--quiet")...), statusUsage, "bench: RWKV_CPU: want one of ")
}
