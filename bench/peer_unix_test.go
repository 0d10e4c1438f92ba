//go:build unix

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script writes a program of the shell.
func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	return path
}

// The time is that of the first byte, not of the end, and the memory is the program's own.
func TestProcess(t *testing.T) {
	bytes := peakMemory() + 128<<20
	start := time.Now()
	run, err := Program{"/bin/sh", []string{"-c", `sleep 0.1; printf a; sleep 0.5; printf b`}}.run(t.Context())
	all := time.Since(start)
	if err != nil || string(run.stdout) != "ab" || run.first < 100*time.Millisecond || all-run.first < 50*time.Millisecond {
		t.Errorf("%v of %v, %q, %v", run.first, all, run.stdout, err)
	}
	run, err = Program{"dd", []string{"if=/dev/zero", "of=/dev/null", fmt.Sprint("bs=", bytes), "count=1"}}.run(t.Context())
	if err != nil || run.peak < bytes || run.peak > bytes+64<<20 || len(run.stdout) > 0 || run.first <= 0 {
		t.Errorf("want a peak of %d bytes, got %d, %v", bytes, run.peak, err)
	}
	if run, err = (Program{"true", nil}).run(t.Context()); err != nil || run.peak != 0 {
		t.Errorf("want no figure below this process's own, got %d, %v", run.peak, err)
	}
	_, err = Program{"/bin/sh", []string{"-c", "echo first >&2; echo it is broken >&2; echo >&2; exit 3"}}.run(t.Context())
	var failed *ProcessError
	if !errors.As(err, &failed) || failed.Status != 3 || err.Error() != "sh: exit status 3: it is broken" {
		t.Error(err)
	}
	if _, err = (Program{"/nonexistent", nil}).run(t.Context()); !errors.As(err, &failed) || failed.Status != -1 || !strings.Contains(err.Error(), "/nonexistent") {
		t.Error(err)
	}
	_, err = Program{"/bin/sh", []string{"-c", "echo loading model >&2; kill -9 $$"}}.run(t.Context())
	if !errors.As(err, &failed) || failed.Status != -1 || err.Error() != "sh: signal: killed: loading model" {
		t.Error(err)
	}
}

// With a mark, the time is that of the first line that begins with it.
func TestProcessMark(t *testing.T) {
	for text, want := range map[string]bool{"": false, "a": false, "a{": false, "{": true, "a\n{": true, "a\n \t{": true, "{\n": true, " a {\nb{": false} {
		s := stamped{mark: '{'}
		for i := range text { // a byte at a time
			_, _ = s.Write([]byte{text[i]})
		}
		whole := stamped{mark: '{'}
		_, _ = whole.Write([]byte(text))
		if s.first.IsZero() == want || whole.first.IsZero() == want {
			t.Errorf("%q: want %v, got %v, %v", text, want, s.first, whole.first)
		}
	}
	run, err := Program{"/bin/sh", []string{"-c", "echo a GPU; sleep 0.3; echo '{}'"}}.runTo(t.Context(), '{', mostTime)
	if err != nil || run.first < 300*time.Millisecond || string(run.stdout) != "a GPU\n{}\n" {
		t.Errorf("%v, %q, %v", run.first, run.stdout, err)
	}
}

// A program that does too much, or ends too late, is named with the limit.
func TestProcessLimits(t *testing.T) {
	for command, limit := range map[string]time.Duration{
		"dd if=/dev/zero bs=1048576 count=65 2>/dev/null; exit 7":     mostTime,
		"dd if=/dev/zero bs=1048576 count=65 >&2 2>/dev/null; exit 7": mostTime,
		"trap '' PIPE; dd if=/dev/zero bs=1048576 count=65; sleep 20": mostTime,
		"echo loading model >&2; sleep 20":                            50 * time.Millisecond,
	} {
		want := "/bin/sh: want at most 67108864 bytes of output"
		if limit != mostTime {
			want = "/bin/sh: want its end within 50ms: "
		}
		_, err := Program{"/bin/sh", []string{"-c", command}}.runTo(t.Context(), 0, limit)
		var failed *ProcessError
		if !errors.As(err, &failed) || failed.Status != -1 || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", command, want, err)
		}
	}
}

// With a program ends what it started.
func TestProcessCancel(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error)
	go func() {
		_, err := Program{"/bin/sh", []string{"-c", `(sleep 20; echo late) > "$0" & wait`, pipe}}.run(ctx)
		ended <- err
	}()
	f, err := os.Open(pipe) // which waits for the second process
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if text, err := io.ReadAll(f); err != nil || len(text) > 0 { // which waits for its end
		t.Errorf("want the end of what the program started, got %q, %v", text, err)
	}
}

func TestFirst(t *testing.T) {
	var lengths []int
	start := func(tokens []int) (Program, error) {
		lengths = append(lengths, len(tokens))
		for _, id := range tokens {
			if id < 1 || id > 49 {
				t.Errorf("token %d of 50", id)
			}
		}
		return Program{"/bin/echo", nil}, nil
	}
	o := &Options{First: []int{3, 100}, Warmup: 1, Repeat: 2}
	list, err := FirstTokens(t.Context(), start, 50, o)
	if err != nil || len(list) != 2 || list[0].Test != "first3" || list[1].Test != "first100" || len(list[1].Seconds.Samples) != 2 ||
		!slices.Equal(lengths, []int{3, 100, 3, 100, 3, 100}) {
		t.Errorf("%+v, %v, %v", list, lengths, err)
	}
	known := firstOf("first3", []processRun{{first: time.Second, peak: 5 << 20}, {first: 3 * time.Second, peak: 7 << 20}})
	if known.Seconds.Median != 2 || known.Peak == nil || known.Peak.Median != 6<<20 {
		t.Errorf("%+v", known)
	}
	if unknown := firstOf("first3", []processRun{{first: 1, peak: 5}, {first: 1}}); unknown.Peak != nil {
		t.Errorf("%+v", unknown)
	}
	r := made()
	r.First = []First{known, {Test: "first9", Seconds: known.Seconds}}
	var b bytes.Buffer
	if err := r.Text(&b); err != nil || !strings.Contains(b.String(), "first3  2.00     1.00  3.00  6.00 MiB     5.00 MiB  7.00 MiB") ||
		!strings.Contains(b.String(), "first9  2.00     1.00  3.00  -") {
		t.Errorf("%v\n%s", err, &b)
	}
	b.Reset()
	r.First[0].Peak.Samples = nil
	if err := json.NewEncoder(&b).Encode(r); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(&b); err == nil || !strings.Contains(err.Error(), "first: first3: want positive figures") {
		t.Error(err)
	}
}

// standIn writes what llama-bench and llama-batched-bench write, faster from run to run: 100 tokens per second more.
const standIn = `echo peer "$@" >> "$0.log"
runs=$(grep -c . "$0.log")
rate=$((100 * runs))
p=0 n=0 t=0 npp= ntg= npl=
while [ $# -gt 0 ]; do
	case $1 in -p) p=$2;; -n) n=$2;; -t) t=$2;; -npp) npp=$2;; -ntg) ntg=$2;; -npl) npl=$2;; esac
	shift
done
line='"build_commit":"c0de","build_number":7,"backends":"CPU","n_gpu_layers":0,"n_threads":'$t
if [ -n "$npp" ]; then
	echo "hello"
	echo "{$line,\"pp\":$npp,\"tg\":$ntg,\"pl\":$npl,\"speed_pp\":$((rate * 2)),\"speed_tg\":$rate}"
	exit
fi
for x in $(echo $p | tr , ' '); do [ $x = 0 ] || echo "{$line,\"n_prompt\":$x,\"n_gen\":0,\"avg_ts\":$((rate * 10))}"; done
for x in $(echo $n | tr , ' '); do [ $x = 0 ] || echo "{$line,\"n_prompt\":0,\"n_gen\":$x,\"avg_ts\":$rate}"; done
`

// against returns a comparison of two stand-ins, which write their turns to one log.
func against(t *testing.T, peer string) (l *Llama, o *VersusOptions, log string) {
	t.Helper()
	dir := t.TempDir()
	ours := made()
	ours.Results = ours.Results[:0]
	for _, batch := range []int{1, 8} {
		for _, test := range []string{"pp64", "pp512", "tg16"} {
			ours.Results = append(ours.Results, Result{Test: test, Batch: batch, Rates: ratesOf([]float64{600}), GBPerS: 1, GFLOPS: 1})
		}
	}
	data, err := json.Marshal(ours)
	if err != nil {
		t.Fatal(err)
	}
	l = &Llama{Path: script(t, dir, "llama-bench", peer), Model: filepath.Join(dir, "m.gguf"), Threads: 2, CPU: true}
	script(t, dir, "llama-batched-bench", strings.ReplaceAll(peer, "$0.log", l.Path+".log"))
	log = l.Path + ".log"
	if err := os.WriteFile(l.Model, []byte("GGUF…"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := script(t, dir, "ours", "echo ours $1 >> "+log+"\ncat <<'END'\n"+string(data)+"\nEND\n")
	o = &VersusOptions{Options: Options{PP: []int{64, 512}, TG: []int{16}, First: []int{100}, Batches: []int{1, 8}, Repeat: 2}, Threads: 2, Vocabulary: 50,
		Bench:    func([]int, []int, int) (Program, error) { return Program{path, []string{"bench"}}, nil },
		Generate: func([]int) (Program, error) { return Program{path, []string{"generate"}}, nil },
	}
	return l, o, log
}

// The programs take turns, and the one that begins alternates.
func TestAgainst(t *testing.T) {
	l, o, log := against(t, standIn)
	if err := l.Check(o.Batches); err != nil {
		t.Fatal(err)
	}
	v, err := l.Against(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	var turns []string
	for line := range strings.Lines(string(data)) {
		who, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		turns = append(turns, who[:1])
		if who == "peer" && !strings.HasPrefix(rest, "-m "+l.Model+" -t 2 -ngl 0 -dev none ") {
			t.Error(rest)
		}
	}
	// One sequence, several (three tests of the peer's), and a whole process: ours first, then the peer first.
	if got, want := strings.Join(turns, ""), "op"+"oppp"+"op"+"po"+"pppo"+"po"; got != want {
		t.Errorf("want turns %s, got %s", want, got)
	}
	var names []string
	for _, row := range v.Rows {
		names = append(names, fmt.Sprint(row.Test, " ", row.Batch, " ", row.Unit))
		if row.Unit == atPeak && row.Ratio == nil {
			continue // shells are smaller than this process
		}
		if row.Ours == nil || row.Peer == nil || row.Ratio == nil || len(row.Ratio.Samples) != 2 || !near(row.Ratio.Samples[1], row.Ours.Samples[1]/row.Peer.Samples[1]) {
			t.Errorf("%+v", row)
		}
	}
	if want := []string{"pp64 1 tokens/s", "pp512 1 tokens/s", "tg16 1 tokens/s", "pp64 8 tokens/s", "pp512 8 tokens/s", "tg16 8 tokens/s", "first100 1 s", "first100 1 bytes"}; !slices.Equal(names, want) {
		t.Errorf("want %q, got %q", want, names)
	}
	// The log has 2 lines when the first peer counts them, and 9 in its second round.
	if got := v.Rows[2].Ratio.Samples; len(got) != 2 || !near(got[0], 600./200) || !near(got[1], 600./900) || !near(v.Rows[2].Ratio.Median, (3+2./3)/2) {
		t.Errorf("%v", got)
	}
	if v.Ours.Device != "D|1" || v.Peer.Device != "CPU, 0 layers on a device" || v.Peer.Build != "c0de (7)" || v.Peer.Threads != 2 || v.Rounds != 2 {
		t.Errorf("%+v", v)
	}
	var text, markdown bytes.Buffer
	if err := errors.Join(v.Text(&text), v.Markdown(&markdown)); err != nil || !strings.Contains(text.String(), "llama-bench c0de (7), CPU, 0 layers on a device, 2 threads\n") ||
		!strings.Contains(strings.Join(strings.Fields(text.String()), " "), " tg16 1 tokens/s 600 550 1.83 0.67 3.00 more ") ||
		strings.Count(markdown.String(), "\n| ") != 1+len(v.Rows) {
		t.Errorf("%v\n%s\n%s", err, &text, &markdown)
	}
	o.Batches, o.PP, o.TG, o.First = []int{1}, nil, nil, []int{100}
	o.Device = "D"
	if v, err = l.Against(t.Context(), o); err != nil || len(v.Rows) != 2 ||
		v.Ours.Device != "D" || v.Peer.Device != "CPU, 0 layers on a device" || v.Peer.Build != "c0de (7)" {
		t.Errorf("%+v, %v", v, err)
	}
	o.Batches, o.PP, o.First = []int{8}, []int{64}, nil
	if v, err = l.Against(t.Context(), o); err != nil || len(v.Rows) != 1 || v.Peer.Device != "CPU, 0 layers on a device" || v.Peer.Build != "c0de (7)" {
		t.Errorf("%+v, %v", v, err)
	}
}

// A peer that runs elsewhere than it should is refused.
func TestAgainstPlace(t *testing.T) {
	const cpu = `"backends":"CPU","n_gpu_layers":0`
	for place, want := range map[string][2]string{ // on the processor, on a device; - is no error
		cpu:                                  {"-", "llama-bench: line 1 of its output: n_gpu_layers: want more than 0, got 0"},
		`"backends":"CPU","n_gpu_layers":99`: {"llama-bench: line 1 of its output: n_gpu_layers: want 0, got 99", `backends: want that of a device, got "CPU"`},
		`"backends":"BLAS,CPU","n_gpu_layers":99`:    {"n_gpu_layers: want 0, got 99", `backends: want that of a device, got "BLAS,CPU"`},
		`"backends":"Vulkan,BLAS","n_gpu_layers":99`: {"n_gpu_layers: want 0, got 99", "-"},
		`"backends":"Vulkan","n_gpu_layers":0`:       {"-", "n_gpu_layers: want more than 0, got 0"},
		`"backends":"Vulkan"`:                        {"n_gpu_layers: want 0, got no such field", "n_gpu_layers: want more than 0, got no such field"},
		`"n_gpu_layers":99`:                          {"n_gpu_layers: want 0, got 99", "backends: want that of a device, got no such field"},
	} {
		for i, want := range want {
			l, o, _ := against(t, strings.ReplaceAll(standIn, cpu, place))
			l.CPU, o.Repeat = i == 0, 1
			_, err := l.Against(t.Context(), o)
			if (want == "-") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: want %q, got %v", place, want, err)
			}
			_, err = l.parse(l.batched(), []byte("{"+place+`,"n_threads":2}`)) // several sequences at once
			if ok := want == "-" || strings.Contains(want, "backends"); ok != (err == nil) {
				t.Errorf("several sequences, %s: got %v", place, err)
			}
		}
	}
}

// A peer that is not what is wanted, or does not write what is wanted, is named with the field.
func TestAgainstFaults(t *testing.T) {
	for edit, want := range map[string]string{
		`|`:                                 "",
		`"n_threads":'$t|"n_threads":'3`:    "llama-bench: line 1 of its output: n_threads: want 2, got 3",
		`"n_threads":'$t|"n":'$t`:           "llama-bench: line 1 of its output: n_threads: want 2, got no such field",
		`\"avg_ts\":$rate|\"avg_ts\":0`:     "llama-bench: test 3: avg_ts: want tokens per second, got 0",
		`\"avg_ts\":$rate|\"avg\":1`:        "llama-bench: test 3: avg_ts: want tokens per second, got no such field",
		`\"n_gen\":0|\"gen\":0`:             "llama-bench: test 1: want n_prompt and n_gen, got no such field",
		`\"n_prompt\":$x|\"n_prompt\":5`:    "llama-bench: want a test pp64 of 1 sequences among its output, got none",
		`\"n_prompt\":$x|\"n_prompt\":\"\"`: "llama-bench: line 1 of its output: want the JSON of a test: ",
		`echo "{$line,|echo "$line,`:        "llama-bench: want lines of JSON on its standard output, got ",
		`\"pl\":$npl|\"pl\":4`:              "llama-batched-bench: pl: want 8, got 4",
		`\"speed_tg\":|\"speed\":`:          "llama-batched-bench: speed_tg: want tokens per second, got no such field",
		`p=0 n=0|echo no model >&2; exit 1`: "llama-bench: exit status 1: no model",
	} {
		old, edited, _ := strings.Cut(edit, "|")
		if !strings.Contains(standIn, old) {
			t.Fatalf("%q is not in the stand-in", old)
		}
		l, o, _ := against(t, strings.ReplaceAll(standIn, old, edited))
		o.Repeat = 1
		_, err := l.Against(t.Context(), o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: want %q, got %v", edit, want, err)
		}
	}
	l, _, _ := against(t, standIn)
	for _, c := range []struct {
		path, model string
		batches     []int
		want        string
	}{
		{filepath.Join(t.TempDir(), "none"), l.Model, []int{1}, "none: want a llama-bench program: "},
		{t.TempDir(), l.Model, []int{1}, ": want a program, got d"},
		{script(t, t.TempDir(), "llama-bench", ""), l.Model, []int{1, 2}, "llama-batched-bench: want it beside llama-bench for several sequences at once: "},
		{l.Path, filepath.Join(t.TempDir(), "m"), []int{1}, "no such file"},
		{l.Path, l.Path, []int{1}, `want a GGUF file, which both programs read, got one that begins with "#!/b"`},
	} {
		err := (&Llama{Path: c.path, Model: c.model, Threads: 2}).Check(c.batches)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}
