package lora

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// File is a file of changes, and the factor on them.
type File struct {
	Path string
	// Scale is the factor s. Training multiplies B A by alpha / r. The file has the rank r, but not alpha, which was
	// chosen in training. PiSSA and DiSHA (Bone, Bat) have a factor of 1.
	Scale float32
}

// Merge says what a file changed.
type Merge struct {
	File
	Changed  int      // matrices it added to
	Ranks    []int    // of lora_A and lora_B, ascending
	Replaced int      // tensors it brought whole
	Start    bool     // it is PiSSA's start
	Widened  []string // changed matrices that the model's file stores in blocks: they become F16
}

// loraRoles has the meaning of a LoRA's tensors, by the last part of their names.
var loraRoles = map[string]func(*lora, string, *tensor.Tensor) (change, error){
	"lora_A":      (*lora).pair,
	"init_lora_A": (*lora).pair,
	"disha":       (*lora).disha,
}

// refused says why tensors with some last names are refused.
var refused = map[string]string{
	"bone": "Bone as RWKV-PEFT stored it before it was named disha, in forms that the file does not tell apart",
}

// lora is an open file of changes, together with the weights that it changes.
type lora struct {
	File
	*changes
	file *weights.File
}

// changes are a model's tensors, with those that files of changes replace and the changes to each.
type changes struct {
	base      *weights.File
	tensors   map[string]*tensor.Tensor
	functions map[string]weights.Function
	of        map[string][]change // by tensor
}

// Apply returns a weights.File with base's tensors as the files of the list change them, one after the other, and what
// each file changed. It reads no weights. A changed tensor is computed in float32 at each Load and rounded once: to the
// type in which base stores it, or to F16 if that is a block type. Closing the result closes base too. Every error is a
// *weights.Error that names the file at fault; base then stays open.
func Apply(base *weights.File, list []File) (*weights.File, []Merge, error) {
	if len(list) == 0 {
		return base, nil, nil
	}
	tensors, functions := maps.Clone(base.Tensors), maps.Clone(base.Functions)
	c := &changes{base: base, tensors: tensors, functions: functions, of: make(map[string][]change)}
	var sources []weights.Source
	var merges []Merge
	for _, l := range list {
		f, err := weights.Open(l.Path)
		var m *Merge
		if err == nil {
			sources = append(sources, weights.Source{File: f, Use: fmt.Sprintf("scale %08x", math.Float32bits(l.Scale))})
			m, err = (&lora{File: l, file: f, changes: c}).read()
		}
		if err != nil {
			for _, s := range sources {
				_ = s.Close() // read only
			}
			return nil, nil, err
		}
		merges = append(merges, *m)
	}
	for name, list := range c.of {
		tensors[name] = changed(tensors[name], list)
	}
	return base.With(tensors, functions, sources), merges, nil
}

// read replaces the model's tensors by those that l has whole. It adds l's other changes to those of each tensor.
func (l *lora) read() (*Merge, error) {
	m := &Merge{File: l.File}
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
		return nil, l.fail("", "tensors", "a LoRA (tensors named ….lora_A and ….lora_B, or ….disha)", model.Describe(l.file))
	}
	// Whole tensors come first, since the file's changes are to them.
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Compare(btoi(isChange(a)), btoi(isChange(b)))
	})
	for _, name := range names {
		t := l.file.Tensors[name]
		if !isChange(name) {
			if err := l.replace(name, t); err != nil {
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
		w, err := l.target(name)
		if err != nil {
			return nil, err
		}
		c, err := role(l, name, w)
		if err != nil {
			return nil, err
		}
		if w.Type.IsBlock() && len(l.of[w.Name]) == 0 {
			m.Widened = append(m.Widened, w.Name)
		}
		if r, ok := c.(*pair); ok && !slices.Contains(m.Ranks, r.rank()) {
			m.Ranks = append(m.Ranks, r.rank())
		}
		m.Start = m.Start || lastPart(name) == "init_lora_A"
		l.of[w.Name] = append(l.of[w.Name], c)
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

// partnerOf has the other half of each pair.
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

// isChange reports whether a tensor of that name changes another one.
func isChange(name string) bool {
	last := lastPart(name)
	return loraRoles[last] != nil || partnerOf[last] != ""
}

// target returns the weight that the named tensor of l changes.
func (l *lora) target(name string) (*tensor.Tensor, error) {
	target := strings.TrimSuffix(name, lastPart(name)) + "weight"
	w, ok := l.tensors[target]
	if !ok {
		return nil, l.fail(name, "model", target+" in "+l.base.Path, "no such tensor")
	}
	if len(w.Shape) != 2 {
		return nil, l.fail(name, "model", target+" to be a matrix", fmt.Sprint(w.Shape))
	}
	return w, l.checkEmbedding(name, target)
}

// checkEmbedding returns an error for changes to an embedding that is stored as it leaves ln0, and to one that is the
// head too.
func (l *lora) checkEmbedding(name, target string) error {
	switch {
	case target == "emb.weight" && l.base.EmbeddingNormed:
		return l.fail(name, "model", "an embedding before ln0 in "+l.base.Path, "one that went through it")
	case (target == "emb.weight" || target == "head.weight") && l.base.Tied:
		return l.fail(name, "model", "a head beside the embedding in "+l.base.Path, "one tensor for both")
	}
	return nil
}

// scaleFor returns the factor on a change of the named weight. The model's file may store that weight divided by a
// power of two.
func (l *lora) scaleFor(name string) float32 { return l.Scale / float32(l.base.Divisor(name)) }

// replace replaces the model's tensor by one of l.
func (l *lora) replace(name string, t *tensor.Tensor) error {
	old, ok := l.tensors[name]
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
	l.tensors[name] = t
	delete(l.functions, name)
	delete(l.of, name)
	return nil
}

func withoutOnes(shape []int) []int {
	return slices.DeleteFunc(slices.Clone(shape), func(d int) bool { return d == 1 })
}

// finite returns t with a Load that fails if an element is not finite. The error names the file and the element.
func (l *lora) finite(t *tensor.Tensor) *tensor.Tensor {
	return t.Part(t.Name, t.Shape, func() ([]byte, error) {
		if err := l.file.CheckFinite(t); err != nil {
			return nil, err
		}
		return t.Load()
	})
}
