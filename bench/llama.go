package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Llama is a llama-bench program of llama.cpp, and llama-batched-bench in the same folder for several sequences at once.
type Llama struct {
	Path    string
	Model   string // a GGUF file
	Threads int
	CPU     bool // reports whether it runs on the processor alone, else with all layers on its device
}

// PeerError is an error about a peer's program or what it wrote.
type PeerError struct {
	File string
	Err  error
}

func (e *PeerError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *PeerError) Unwrap() error { return e.Err }

func (l *Llama) fault(format string, args ...any) error {
	return &PeerError{l.Path, fmt.Errorf(format, args...)}
}

// batched is the program for several sequences at once.
func (l *Llama) batched() string {
	return filepath.Join(filepath.Dir(l.Path), "llama-batched-bench"+filepath.Ext(l.Path))
}

// ggufMagic begins a GGUF file.
const ggufMagic = "GGUF"

// Check returns an error unless the programs for these batches can be run, and the model is a GGUF file.
func (l *Llama) Check(batches []int) error {
	programs := []string{l.Path}
	if slices.Max(batches) > 1 {
		programs = append(programs, l.batched())
	}
	for i, path := range programs {
		info, err := os.Stat(path)
		switch {
		case err != nil && i > 0:
			return &PeerError{path, fmt.Errorf("want it beside llama-bench for several sequences at once: %w", err)}
		case err != nil:
			return &PeerError{path, fmt.Errorf("want a llama-bench program: %w", err)}
		case !info.Mode().IsRegular():
			return &PeerError{path, fmt.Errorf("want a program, got %s", info.Mode())}
		}
	}
	f, err := os.Open(l.Model)
	if err != nil {
		return &PeerError{l.Model, err}
	}
	defer func() { _ = f.Close() }() // only read
	head := make([]byte, len(ggufMagic))
	n, _ := f.Read(head)
	if string(head[:n]) != ggufMagic {
		return &PeerError{l.Model, fmt.Errorf("want a GGUF file, which both programs read, got one that begins with %q", head[:n])}
	}
	return nil
}

// args are the arguments of either program about the model and where it runs.
func (l *Llama) args() []string {
	where := []string{"-ngl", "99"}
	if l.CPU {
		where = []string{"-ngl", "0", "-dev", "none"}
	}
	return append([]string{"-m", l.Model, "-t", strconv.Itoa(l.Threads)}, where...)
}

// llamaLine is what the two programs write for a test, as far as it counts here. Nil is what a line lacks.
type llamaLine struct {
	Commit   *string  `json:"build_commit"`
	Build    *int     `json:"build_number"`
	Backends *string  `json:"backends"`
	Threads  *int     `json:"n_threads"`
	Layers   *int     `json:"n_gpu_layers"`
	Prompt   *int     `json:"n_prompt"`
	Gen      *int     `json:"n_gen"`
	Rate     *float64 `json:"avg_ts"` // tokens per second

	// Of llama-batched-bench.
	PP      *int     `json:"pp"`
	TG      *int     `json:"tg"`
	Batch   *int     `json:"pl"`
	SpeedPP *float64 `json:"speed_pp"`
	SpeedTG *float64 `json:"speed_tg"`
}

// parse reads the JSON lines among what a program wrote, and checks the fields that all have.
func (l *Llama) parse(path string, out []byte) (list []llamaLine, err error) {
	for i, text := range bytes.Split(out, []byte("\n")) {
		text = bytes.TrimSpace(text)
		if len(text) == 0 || text[0] != '{' {
			continue // what it says to people
		}
		where := fmt.Sprintf("line %d of its output", i+1)
		var line llamaLine
		if err := json.Unmarshal(text, &line); err != nil {
			return nil, &PeerError{path, fmt.Errorf("%s: want the JSON of a test: %w", where, err)}
		}
		if err := wantNumber(line.Threads, "n_threads", l.Threads); err != nil {
			return nil, &PeerError{path, fmt.Errorf("%s: %w", where, err)}
		}
		if err := l.checkPlace(&line, path == l.Path); err != nil {
			return nil, &PeerError{path, fmt.Errorf("%s: %w", where, err)}
		}
		list = append(list, line)
	}
	if len(list) == 0 {
		return nil, &PeerError{path, fmt.Errorf("want lines of JSON on its standard output, got %q", shortened(out))}
	}
	return list, nil
}

// checkPlace returns an error unless a test ran where it was asked to. llama-batched-bench does not name its backends.
func (l *Llama) checkPlace(line *llamaLine, named bool) error {
	switch {
	case l.CPU:
		return wantNumber(line.Layers, "n_gpu_layers", 0)
	case line.Layers == nil:
		return errors.New("n_gpu_layers: want more than 0, got no such field")
	case *line.Layers <= 0:
		return fmt.Errorf("n_gpu_layers: want more than 0, got %d", *line.Layers)
	case !named:
		return nil
	case line.Backends == nil:
		return errors.New("backends: want that of a device, got no such field")
	}
	for name := range strings.SplitSeq(*line.Backends, ",") {
		if name = strings.TrimSpace(name); name != "" && name != "CPU" && name != "BLAS" {
			return nil
		}
	}
	return fmt.Errorf("backends: want that of a device, got %q; with --device cpu both programs run on the processor", *line.Backends)
}

// shortened returns the beginning of a text.
func shortened(text []byte) []byte { return text[:min(len(text), 80)] }

func wantNumber(got *int, field string, want int) error {
	if got == nil {
		return fmt.Errorf("%s: want %d, got no such field", field, want)
	}
	if *got != want {
		return fmt.Errorf("%s: want %d, got %d", field, want, *got)
	}
	return nil
}

// wantRate returns a figure that is more than nothing.
func wantRate(got *float64, field string) (float64, error) {
	if got == nil {
		return 0, fmt.Errorf("%s: want tokens per second, got no such field", field)
	}
	if !(*got > 0) {
		return 0, fmt.Errorf("%s: want tokens per second, got %v", field, *got)
	}
	return *got, nil
}

// run runs llama-bench once for prefills and decodes of these lengths.
func (l *Llama) run(ctx context.Context, pp, tg []int, more ...string) ([]llamaLine, processRun, error) {
	args := append(l.args(), "-o", "jsonl", "-r", "1", "-p", Numbers(pp), "-n", Numbers(tg))
	run, err := Program{l.Path, append(args, more...)}.runTo(ctx, '{', mostTime)
	if err != nil {
		return nil, run, err
	}
	lines, err := l.parse(l.Path, run.stdout)
	return lines, run, err
}

// Numbers writes a list as flags take it, 0 for an empty one.
func Numbers(list []int) string {
	if len(list) == 0 {
		return "0"
	}
	words := make([]string, len(list))
	for i, n := range list {
		words[i] = strconv.Itoa(n)
	}
	return strings.Join(words, ",")
}

// rates measures one sequence: llama-bench writes a line for each length.
func (l *Llama) rates(ctx context.Context, pp, tg []int) (map[measure]float64, []llamaLine, error) {
	lines, _, err := l.run(ctx, pp, tg)
	if err != nil {
		return nil, nil, err
	}
	found := map[measure]float64{}
	for i, line := range lines {
		if line.Prompt == nil || line.Gen == nil {
			return nil, nil, l.fault("test %d: want n_prompt and n_gen, got no such field", i+1)
		}
		rate, err := wantRate(line.Rate, "avg_ts")
		if err != nil {
			return nil, nil, l.fault("test %d: %w", i+1, err)
		}
		switch {
		case *line.Gen == 0:
			found[rateOf(prefill, *line.Prompt, 1)] = rate
		case *line.Prompt == 0:
			found[rateOf(decode, *line.Gen, 1)] = rate
		}
	}
	return found, lines, nil
}

// batchRates measures several sequences at once: prefills of each length and decodes of each length.
func (l *Llama) batchRates(ctx context.Context, pp, tg []int, batch int) (map[measure]float64, error) {
	found := map[measure]float64{}
	for _, t := range []struct {
		kind    string
		lengths []int
	}{{prefill, pp}, {decode, tg}} {
		for _, n := range t.lengths {
			one := map[string]int{prefill: 1, decode: 1}
			one[t.kind] = n
			args := append(l.args(), "-npp", strconv.Itoa(one[prefill]), "-ntg", strconv.Itoa(one[decode]), "-npl", strconv.Itoa(batch),
				"-c", strconv.Itoa(max((n+1)*batch, 512)), "--output-format", "jsonl")
			run, err := Program{l.batched(), args}.run(ctx)
			if err != nil {
				return nil, err
			}
			lines, err := l.parse(l.batched(), append(run.stdout, run.stderr...))
			if err != nil {
				return nil, err
			}
			rate, err := lines[0].batchRate(t.kind, one, batch)
			if err != nil {
				return nil, &PeerError{l.batched(), err}
			}
			found[rateOf(t.kind, n, batch)] = rate
		}
	}
	return found, nil
}

// batchRate returns the speed of a line of llama-batched-bench, for the test that it was asked for.
func (line *llamaLine) batchRate(kind string, tokens map[string]int, batch int) (float64, error) {
	for _, f := range []struct {
		got  *int
		name string
		want int
	}{{line.PP, "pp", tokens[prefill]}, {line.TG, "tg", tokens[decode]}, {line.Batch, "pl", batch}} {
		if err := wantNumber(f.got, f.name, f.want); err != nil {
			return 0, err
		}
	}
	if kind == prefill {
		return wantRate(line.SpeedPP, "speed_pp")
	}
	return wantRate(line.SpeedTG, "speed_tg")
}

// first is a whole process that reads a prompt of so many tokens: it ends where the first token would be drawn.
func (l *Llama) first(ctx context.Context, tokens int) (processRun, *llamaLine, error) {
	lines, run, err := l.run(ctx, []int{tokens}, nil, "--no-warmup")
	if err != nil {
		return run, nil, err
	}
	if err := wantNumber(lines[0].Prompt, "n_prompt", tokens); err != nil {
		return run, nil, l.fault("%w", err)
	}
	return run, &lines[0], nil
}

// ask runs llama-bench as shortly as it can, for what it says of itself.
func (l *Llama) ask(ctx context.Context) (*llamaLine, error) {
	lines, _, err := l.run(ctx, []int{1}, nil, "--no-warmup")
	if err != nil {
		return nil, err
	}
	return &lines[0], nil
}
