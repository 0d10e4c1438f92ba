package golden

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
)

// Open makes an executor for a model.
type Open func(tb testing.TB, m *model.Model, s op.Sizes) op.Executor

// chunks are the prompt chunk lengths that a model's first file runs in; 0 is the whole prompt at once.
var chunks = []int{0, 1, 2, 7, 64}

// Versions are those of the reference models, each of which has at least one.
var Versions = []string{"v4", "v5.0", "v5.1", "v5.2", "v6", "v7", "v7a"}

// Usual is the version that short runs are content with: the one that people run most.
const Usual = "v7"

// Kinds are the kinds of file that are read, by their names in the manifest.
var Kinds = []string{"safetensors", "st", "pth_bf16", "pth_fp16", "pth_bf16_legacy", "pth_fp32_strided",
	"bin_fp16", "bin_fp32", "gguf_bf16", "gguf_f16", "gguf_f32", "hf_bf16", "hf_bf16_sharded"}

// Run compares every reference model in every file that it has: the first in all chunk lengths, the others, which
// differ only in how weights are read, with the whole prompt, unless the run is a short one. gpu chooses the tolerance.
func Run(t *testing.T, gpu bool, open Open) {
	reference.Numbers(t)
	for _, version := range Versions {
		for _, ref := range Models(t, version) {
			lengths := chunks
			for kind := range ref.Files {
				if !slices.Contains(Kinds, kind) {
					t.Errorf("%s: files of the kind %s are not tested", ref.Name, kind)
				}
			}
			for _, kind := range Kinds {
				if _, ok := ref.Files[kind]; !ok {
					continue
				}
				t.Run(ref.Name+"/"+kind, func(t *testing.T) { run(t, &ref, kind, model.Options{}, lengths, gpu, open) })
				if _, ok := ref.Runs["t1"].OtherEps["expected"]; ok {
					t.Run(ref.Name+"/"+kind+"/1e-5", func(t *testing.T) {
						run(t, &ref, kind, model.Options{GroupNormEps: 1e-5}, lengths[:1], gpu, open)
					})
				}
				lengths = chunks[:1]
				if testing.Short() {
					break // how weights are read is no matter of the device
				}
			}
			if len(lengths) == len(chunks) {
				t.Errorf("%s: none of its files is of a kind that is read", ref.Name)
			}
		}
	}
}

// RunDecode compares the first reference model of each version, in a short run of Usual alone, token by token.
func RunDecode(t *testing.T, gpu bool, open Open) {
	reference.Numbers(t)
	for _, version := range Versions {
		if testing.Short() && version != Usual {
			continue
		}
		ref := Models(t, version)[0]
		t.Run(ref.Name, func(t *testing.T) { run(t, &ref, firstKind(&ref), model.Options{}, []int{1}, gpu, open) })
	}
}

// RunPrefill compares the first reference model of a version, its prompts in chunks of some lengths; 0 is all at once.
func RunPrefill(t *testing.T, gpu bool, version string, lengths []int, open Open) {
	reference.Numbers(t)
	ref := Models(t, version)[0]
	run(t, &ref, firstKind(&ref), model.Options{}, lengths, gpu, open)
}

// firstKind returns the first kind of file that a model has.
func firstKind(ref *Model) string {
	return Kinds[slices.IndexFunc(Kinds, func(k string) bool { return ref.Files[k].Path != "" })]
}

// run compares all prompts of one file.
func run(t *testing.T, ref *Model, kind string, o model.Options, lengths []int, gpu bool, open Open) {
	m, err := model.OpenWith(Path(t, ref.Files[kind].Path), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if want := ref.VersionIn(kind); m.Version != want {
		t.Errorf("version: want %s, got %s", want, m.Version)
	}
	longest := 0
	for _, r := range ref.Runs {
		longest = max(longest, len(r.Tokens))
	}
	e := open(t, m, op.Sizes{Slots: 2, Rows: longest, Seqs: 1, Outs: longest})
	for name, r := range ref.Runs {
		want := r.Expect(t, o.GroupNormEps != 0)
		for _, chunk := range lengths {
			if testing.Short() && len(r.Tokens) > 64 && chunk > 0 && chunk < 64 {
				continue // the short prompts have them
			}
			t.Run(fmt.Sprintf("%s/chunk%d", name, chunk), func(t *testing.T) { compare(t, m, e, &r, want, chunk, gpu) })
		}
	}
}

func compare(t *testing.T, m *model.Model, e op.Executor, r *Case, want map[string][]float32, chunk int, gpu bool) {
	tolerance := r.Tolerance.CPU
	if gpu {
		tolerance = r.Tolerance.GPU
	}
	const slot = 1
	if err := e.ResetState(slot); err != nil {
		t.Fatal(err)
	}
	logits := Logits(t, e, slot, r.Tokens, chunk)
	last := logits[len(logits)-1]
	checkClose(t, "logits.last", last, want["logits.last"], tolerance, 0)
	if all, ok := want["logits.all"]; ok {
		checkClose(t, "logits.all", slices.Concat(logits...), all, tolerance, 0)
	}
	if some, ok := want["logits.at"]; ok {
		for i, at := range r.At {
			v := len(last)
			checkClose(t, fmt.Sprintf("logits.at %d", at), logits[at], some[i*v:(i+1)*v], tolerance, 0)
		}
	}
	state := make([]float32, m.Program.StateLen())
	if err := e.ReadState(slot, state); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, f := range m.Fields {
		n := f.Len()
		name := "state." + f.Name
		seen[name] = true
		checkClose(t, fmt.Sprintf("%s layer %d", name, f.Layer), state[f.Off:f.Off+n], want[name][f.Layer*n:(f.Layer+1)*n],
			r.Tolerance.State.Abs, r.Tolerance.State.Rel)
	}
	for name := range want {
		if len(name) > 6 && name[:6] == "state." && !seen[name] {
			t.Errorf("%s: expected, but the model has no such field", name)
		}
	}
}

// Logits feeds tokens to a slot in chunks (0: all at once) and returns the logits after each.
func Logits(tb testing.TB, e op.Executor, slot int, tokens []int, chunk int) [][]float32 {
	tb.Helper()
	if chunk == 0 {
		chunk = len(tokens)
	}
	var all [][]float32
	var b op.Batch
	for part := range slices.Chunk(tokens, chunk) {
		b.Reset()
		b.Add(slot, part, len(part))
		if err := e.Forward(&b); err != nil {
			tb.Fatal(err)
		}
		for i := range part {
			all = append(all, slices.Clone(e.Logits(i)))
		}
	}
	return all
}

// checkClose wants finite values within abs + rel*|want|.
func checkClose(t *testing.T, what string, got, want []float32, abs, rel float64) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%s: want %d values, got %d", what, len(want), len(got))
		return
	}
	worst, at := -1.0, 0
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if excess := d - rel*math.Abs(float64(want[i])); excess > worst || d != d {
			worst, at = excess, i
		}
		if d != d {
			worst = math.Inf(1)
			break
		}
	}
	if worst > abs {
		t.Errorf("%s: element %d: want %v, got %v (off by %.3g, tolerance %.3g)", what, at, want[at], got[at], worst, abs)
	}
}
