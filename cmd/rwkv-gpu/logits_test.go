package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// largest returns the largest difference, beyond rel times the wanted value.
func largest(t *testing.T, got, want []float32, rel float64) float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("want %d values, got %d", len(want), len(got))
	}
	worst := 0.0
	for i, w := range want {
		d := math.Abs(float64(got[i])-float64(w)) - rel*math.Abs(float64(w))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst
}

// Every reference model gives the original implementation's logits and state, from the command line.
func TestReferenceLogits(t *testing.T) {
	reference.Numbers(t)
	devices(t, func(t *testing.T, device string) {
		for _, version := range golden.Versions {
			for _, m := range golden.Models(t, version) {
				for name, c := range m.Runs {
					if testing.Short() && len(c.Tokens) > 7 || version != golden.Usual && len(c.Tokens) > 64 {
						continue // the executors' own tests have the long ones
					}
					chunks := []int{7, len(c.Tokens)}
					if version != golden.Usual {
						chunks = chunks[:1] // likewise
					}
					for _, chunk := range chunks {
						t.Run(fmt.Sprintf("%s/%s/chunk%d", m.Name, name, chunk), func(t *testing.T) {
							checkReference(t, device, &m, &c, chunk)
						})
					}
				}
			}
		}
	})
}

// readable returns the path of the first of the model's files that is of a kind that is read, and its version.
func readable(t *testing.T, m *golden.Model) (path, version string) {
	for _, kind := range golden.Kinds {
		if f, ok := m.Files[kind]; ok {
			return golden.Path(t, f.Path), m.VersionIn(kind)
		}
	}
	t.Fatalf("%s: no file that is read", m.Name)
	return "", ""
}

func checkReference(t *testing.T, device string, m *golden.Model, c *golden.Case, chunk int) {
	tolerance := c.Tolerance.GPU
	if device == "cpu" {
		tolerance = c.Tolerance.CPU
	}
	want := c.Expect(t, false)
	state := filepath.Join(t.TempDir(), "state")
	path, version := readable(t, m)
	args := []string{"logits", "--model", path, "--device", device, "--tokens", formatTokens(c.Tokens),
		"--chunk", strconv.Itoa(chunk), "--state-out", state}
	all, everywhere := want["logits.all"]
	if everywhere {
		args = append(args, "--all")
	}
	var got logitsAnswer
	cliJSON(t, &got, args...)
	if got.Version != version || got.Device == "" || formatTokens(got.Tokens) != formatTokens(c.Tokens) {
		t.Errorf("version %q, device %q, tokens %v", got.Version, got.Device, got.Tokens)
	}
	if d := largest(t, got.Logits[len(got.Logits)-1], want["logits.last"], 0); d > tolerance {
		t.Errorf("last logits differ by %.3g, tolerance %.3g", d, tolerance)
	}
	if everywhere {
		var joined []float32
		for _, row := range got.Logits {
			joined = append(joined, row...)
		}
		if d := largest(t, joined, all, 0); d > tolerance {
			t.Errorf("logits differ by %.3g, tolerance %.3g", d, tolerance)
		}
	}
	checkReferenceState(t, state, c, want)
}

// checkReferenceState compares a state file with the expected one, which has the same tensors.
func checkReferenceState(t *testing.T, path string, c *golden.Case, want map[string][]float32) {
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for name, values := range want {
		if !strings.HasPrefix(name, "state.") {
			continue
		}
		x, err := f.Tensor(name)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := x.Floats()
		if err != nil {
			t.Fatal(err)
		}
		if d := largest(t, got, values, c.Tolerance.State.Rel); d > c.Tolerance.State.Abs {
			t.Errorf("%s differs by %.3g, tolerance %.3g", name, d, c.Tolerance.State.Abs)
		}
	}
}

// The embedded model gives the logits of its training scripts after every token of every reference prompt.
func TestDemoLogits(t *testing.T) {
	reference.Numbers(t)
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "model", "demo", "reference.npy"))
	if err != nil {
		t.Fatal(err)
	}
	const vocab = 4096
	prompts := demoPrompts(t)
	rows := prompts[len(prompts)-1].Rows[1]
	data = data[len(data)-4*vocab*rows:] // the rest is its header, checked in package demo
	devices(t, func(t *testing.T, device string) {
		for _, p := range prompts {
			var got logitsAnswer
			cliJSON(t, &got, "logits", "--prompt", p.Prompt, "--all", "--device", device)
			if formatTokens(got.Tokens) != formatTokens(p.Tokens) {
				t.Fatalf("%q: want tokens %v, got %v", p.Prompt, p.Tokens, got.Tokens)
			}
			for i, row := range got.Logits {
				want := floats(data[4*vocab*(p.Rows[0]+i):][:4*vocab])
				if d := largest(t, row, want, 0); d > 1e-4 {
					t.Errorf("%q: after token %d: logits differ by %.3g", p.Prompt, i, d)
				}
			}
		}
	})
}

// A prompt in two commands, with the state in a file between them, gives the bits of one command that runs the same
// passes, and on another device the same within rounding.
func TestStateContinues(t *testing.T) {
	tokens := []string{"5,66,0,17", "1,2,3,4,5,6,7,8,9,10,11"}
	tiny := tinyModel(t, nil)
	devices(t, func(t *testing.T, device string) {
		var whole, other logitsAnswer
		cliJSON(t, &whole, "logits", "--model", tiny, "--device", device, "--tokens", strings.Join(tokens, ","), "--chunk", "1")
		last, state := stepwise(t, device, tiny, tokens)
		for i, v := range last {
			if math.Float32bits(v) != math.Float32bits(whole.Logits[0][i]) {
				t.Fatalf("logit %d: %v through the file, %v without", i, v, whole.Logits[0][i])
			}
		}
		cliJSON(t, &other, "logits", "--model", tiny, "--device", "cpu", "--tokens", tokens[1], "--state-in", state)
		if d := largest(t, other.Logits[0], last, 0); d > 1e-4 {
			t.Errorf("continued on the CPU it differs by %.3g", d)
		}
	})
}

// stepwise feeds the lists in one command each, and returns the last logits and the state before the last list.
func stepwise(t *testing.T, device, model string, lists []string) (logits []float32, state string) {
	for i, list := range lists {
		args := []string{"logits", "--model", model, "--device", device, "--tokens", list, "--chunk", "1"}
		if i > 0 {
			args = append(args, "--state-in", state)
		}
		if i < len(lists)-1 {
			state = filepath.Join(t.TempDir(), "s")
			args = append(args, "--state-out", state)
		}
		var a logitsAnswer
		cliJSON(t, &a, args...)
		logits = a.Logits[0]
	}
	return logits, state
}

func TestLogitsText(t *testing.T) {
	r := cli("logits", "--prompt", "Once upon a", "--device", "cpu", "--quiet")
	if r.status != statusDone || !strings.HasPrefix(r.stdout, "after token 2, id 275 \" a\"\n") || !strings.Contains(r.stdout, " time\"\n") ||
		strings.Count(r.stdout, "\n") != 2+shownTokens {
		t.Error(r)
	}
	r = cli("logits", "--tokens", "3,4", "--all", "--device", "cpu", "--quiet", "--model", tinyModel(t, nil))
	if r.status != statusDone || strings.Count(r.stdout, "\n") != 2*(2+shownTokens) || strings.Contains(r.stdout, `"`) {
		t.Error(r)
	}
}

// With --exact, how a prompt is cut into passes changes no bit of any logits.
func TestExactChunks(t *testing.T) {
	reference.Numbers(t)
	devices(t, func(t *testing.T, device string) {
		var whole logitsAnswer
		for _, chunk := range []string{"256", "1", "3", "16"} {
			var in logitsAnswer
			cliJSON(t, &in, "logits", "--exact", "--all", "--device", device, "--prompt", "Once upon a time there was a king who had three sons, and", "--chunk", chunk)
			if whole.Logits == nil {
				whole = in
			}
			for i, row := range in.Logits {
				for j, v := range row {
					if math.Float32bits(v) != math.Float32bits(whole.Logits[i][j]) {
						t.Fatalf("%s tokens at once: logit %d after token %d is %v, with all at once %v", chunk, j, i, v, whole.Logits[i][j])
					}
				}
			}
		}
	})
}
