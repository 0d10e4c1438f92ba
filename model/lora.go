package model

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// LoRA is a file of changes to a model's weights, as RWKV-PEFT and RWKV-LM-LoRA train them, to be merged while weights
// load. With W [out, in] the weight NAME.weight of the model and s the scale, the file's tensors say:
//
//	NAME.lora_A [r, in], NAME.lora_B [out, r]            W += s B A
//	NAME.init_lora_A, NAME.init_lora_B (PiSSA's start)   W -= s B A
//	NAME.disha [r, out] (Bone)                           W[o][i] += s D[i mod r][o]
//	NAME.disha [in/r, r, r] (Bat)                        W[a][b] += s (W[a][b] D[b] + D[b]), for each block of r x r
//	any other                                            replaces the model's tensor of that name, whatever the scale
//
// A model trained by PiSSA takes two: the file of its start, then the trained one.
type LoRA struct {
	Path string
	// Scale is the factor s. Training multiplies B A by alpha / r, which the file does not hold: r is the rank that it
	// has, alpha was chosen by whoever trained it. PiSSA and DiSHA (Bone, Bat) have a factor of 1.
	Scale float32
}

// Merge says what a LoRA changed.
type Merge struct {
	LoRA
	Changed  int      // matrices it added to
	Ranks    []int    // of lora_A and lora_B, ascending
	Replaced int      // tensors it brought whole
	Start    bool     // it is PiSSA's start
	Widened  []string // changed matrices that the model's file holds in blocks: they become F16
}

// roles of tensors of a LoRA, by the last part of their names.
var loraRoles = map[string]func(*lora, string, *tensor.Tensor) (change, error){
	"lora_A":      (*lora).pair,
	"init_lora_A": (*lora).pair,
	"disha":       (*lora).disha,
}

// refused says why tensors of some last names are.
var refused = map[string]string{
	"bone": "Bone as RWKV-PEFT stored it before it was named disha, in forms that the file does not tell apart",
}

// lora is an open LoRA beside the model that it changes.
type lora struct {
	LoRA
	file *weights.File
	base *weights.File
}

// merge returns a File that holds base's tensors as the LoRAs change them, one after the other, and the LoRAs' files. It
// reads no weights: a changed tensor is computed in float32 at each Load, and rounded once, to the type in which base
// stores it, or to F16 if that is a type of blocks.
func merge(base *weights.File, list []LoRA) (*weights.File, []*weights.File, []Merge, error) {
	var files []*weights.File
	fail := func(err error) (*weights.File, []*weights.File, []Merge, error) {
		closeAll(files)
		return nil, nil, nil, err
	}
	if len(list) == 0 {
		return base, nil, nil, nil
	}
	out := *base
	out.Tensors, out.Forms = maps.Clone(base.Tensors), maps.Clone(base.Forms)
	changes := make(map[string][]change)
	var merges []Merge
	for _, l := range list {
		f, err := weights.Open(l.Path)
		if err != nil {
			return fail(err)
		}
		files = append(files, f)
		m, err := (&lora{l, f, base}).read(&out, changes)
		if err != nil {
			return fail(err)
		}
		merges = append(merges, *m)
	}
	for name, list := range changes {
		out.Tensors[name] = changed(out.Tensors[name], list)
	}
	return &out, files, merges, nil
}

func closeAll(files []*weights.File) {
	for _, f := range files {
		_ = f.Close() // read only
	}
}

// read puts the tensors that l brings whole into out and adds its other changes to those of each tensor.
func (l *lora) read(out *weights.File, changes map[string][]change) (*Merge, error) {
	m := &Merge{LoRA: l.LoRA}
	if err := l.file.RefuseUnread(); err != nil {
		return nil, err
	}
	names := l.file.Names()
	for _, name := range names {
		if why := refused[lastPart(name)]; why != "" {
			return nil, l.fail(name, "kind", "lora_A and lora_B, disha, or a tensor of the model", why)
		}
	}
	if !slices.ContainsFunc(names, isChange) {
		return nil, l.fail("", "tensors", "a LoRA (tensors named ….lora_A and ….lora_B, or ….disha)", notLoRA(l.file))
	}
	// What a file brings whole comes first: its changes are to that.
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(btoi(isChange(a)), btoi(isChange(b)))
	})
	for _, name := range names {
		t := l.file.Tensors[name]
		if !isChange(name) {
			if err := l.replace(out, changes, name, t); err != nil {
				return nil, err
			}
			m.Replaced++
			continue
		}
		role := loraRoles[lastPart(name)]
		if role == nil { // of a pair, which lora_A stands for
			if _, ok := l.file.Tensors[partner(name)]; !ok {
				return nil, l.fail(name, "partner", partner(name), "no such tensor")
			}
			continue
		}
		w, err := l.target(out, name)
		if err != nil {
			return nil, err
		}
		c, err := role(l, name, w)
		if err != nil {
			return nil, err
		}
		if w.Type.IsBlock() && len(changes[w.Name]) == 0 {
			m.Widened = append(m.Widened, w.Name)
		}
		if r, ok := c.(*pair); ok && !slices.Contains(m.Ranks, r.rank()) {
			m.Ranks = append(m.Ranks, r.rank())
		}
		m.Start = m.Start || lastPart(name) == "init_lora_A"
		changes[w.Name] = append(changes[w.Name], c)
		m.Changed++
	}
	slices.Sort(m.Ranks)
	return m, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// partnerOf holds the other half of each pair.
var partnerOf = map[string]string{
	"lora_A": "lora_B", "lora_B": "lora_A", "init_lora_A": "init_lora_B", "init_lora_B": "init_lora_A",
}

func partner(name string) string {
	last := lastPart(name)
	return strings.TrimSuffix(name, last) + partnerOf[last]
}

func (l *lora) fail(name, field, want, got string) error {
	return &weights.Error{File: l.Path, Tensor: name, Field: field, Want: want, Got: got}
}

// notModel says what a file is that is no model.
func notModel(f *weights.File) string {
	names := allNames(f)
	switch {
	case slices.ContainsFunc(names, isAdapter):
		return "an adapter of Hugging Face's peft, whose merge_and_unload merges it into its model"
	case f.Meta["general.type"] == "adapter" && f.Format == "GGUF":
		return "a GGUF adapter, which llama-export-lora merges into its model"
	case slices.ContainsFunc(names, isChange):
		return "a LoRA, which is merged into a model"
	case len(names) > 0 && lastPart(names[0]) == lastPart(timeState.name):
		return "an initial state, which a model begins with"
	}
	if len(names) == 0 {
		return "no tensors"
	}
	return fmt.Sprintf("tensors of none (%d, the first named %s)", len(names), names[0])
}

// isAdapter tells whether a tensor of that name is one of an adapter of peft.
func isAdapter(name string) bool { return strings.HasPrefix(name, "base_model.model.") }

// notLoRA says what a file is that is no LoRA.
func notLoRA(f *weights.File) string {
	if _, err := detect(f); err == nil {
		return "a model"
	}
	return notModel(f)
}

// isChange tells whether a tensor of that name changes another one.
func isChange(name string) bool {
	last := lastPart(name)
	return loraRoles[last] != nil || partnerOf[last] != ""
}

// target returns the weight that the named tensor of l changes.
func (l *lora) target(out *weights.File, name string) (*tensor.Tensor, error) {
	target := strings.TrimSuffix(name, lastPart(name)) + "weight"
	w, ok := out.Tensors[target]
	if !ok {
		return nil, l.fail(name, "model", target+" in "+l.base.Path, "no such tensor")
	}
	if len(w.Shape) != 2 {
		return nil, l.fail(name, "model", target+" to be a matrix", fmt.Sprint(w.Shape))
	}
	return w, l.checkEmbedding(name, target)
}

// checkEmbedding refuses changes to an embedding that is stored as it leaves ln0, and to one that is the head too.
func (l *lora) checkEmbedding(name, target string) error {
	switch {
	case target == "emb.weight" && l.base.EmbeddingNormed:
		return l.fail(name, "model", "an embedding before ln0 in "+l.base.Path, "one that went through it")
	case (target == "emb.weight" || target == "head.weight") && l.base.Tied:
		return l.fail(name, "model", "a head beside the embedding in "+l.base.Path, "one tensor for both")
	}
	return nil
}

// scaleFor returns the factor on a change of the named weight, which the model's file may hold divided by a power of two.
func (l *lora) scaleFor(name string) float32 { return l.Scale / float32(l.base.Divisor(name)) }

// replace puts a tensor of l in the place of the model's.
func (l *lora) replace(out *weights.File, changes map[string][]change, name string, t *tensor.Tensor) error {
	old, ok := out.Tensors[name]
	if !ok {
		return l.fail(name, "model", "a tensor of this name in "+l.base.Path, "none")
	}
	if err := l.checkEmbedding(name, name); err != nil {
		return err
	}
	if !slices.Equal(withoutOnes(t.Shape), withoutOnes(old.Shape)) {
		return l.fail(name, "shape", fmt.Sprintf("%v as in %s", old.Shape, l.base.Path), fmt.Sprint(t.Shape))
	}
	t = l.finite(t).Reshaped(old.Shape...)
	if d := l.base.Divisor(name); d != 1 {
		t = tensor.Scaled(t, tensor.F32, 1/float32(d))
	}
	out.Tensors[name] = t
	delete(out.Forms, name)
	delete(changes, name)
	return nil
}

func withoutOnes(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(d int) bool { return d == 1 })
}

// finite returns t with a Load that names the file and the element if one is not finite.
func (l *lora) finite(t *tensor.Tensor) *tensor.Tensor {
	return tensor.New(t.Name, t.Type, t.Shape, func() ([]byte, error) {
		if err := l.file.CheckFinite(t); err != nil {
			return nil, err
		}
		return t.Load()
	})
}

// mergeDigest returns a hash of everything that LoRAs bring to a model: their tensors and scales.
func mergeDigest(files []*weights.File, merges []Merge) (string, error) {
	h := sha256.New()
	for i, f := range files {
		_, _ = fmt.Fprintf(h, "scale %08x\n", math.Float32bits(merges[i].Scale)) // a hash takes all
		for _, name := range f.Names() {
			t := f.Tensors[name]
			_, _ = io.WriteString(h, t.String()+"\n")
			err := t.Use(func(data []byte) error {
				_, err := h.Write(data)
				return err
			})
			if err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
