package model

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Export is a model as another file would hold it.
type Export struct {
	*weights.Output
	Notices []string // what is different from the model it came from
	source  string   // the model's file
}

func (e *Export) noticef(format string, args ...any) {
	e.Notices = append(e.Notices, fmt.Sprintf(format, args...))
}

// madeHere is the annotation of safetensors files that says who wrote them. web-rwkv's converter leaves no such thing,
// and its layout is known by that where shapes do not tell (see the package comment of weights).
const madeHere = "converted_by"

// Safetensors returns the model as a safetensors file of the original names, shapes and numbers. typ is the type to
// store everything as, 0 to keep types; it must be a plain one. Numbers in blocks become F32, which holds them exactly.
// What a converter did to the numbers before is undone: divisors of two exactly, exponentials within the rounding of
// the numbers that are there.
func (m *Model) Safetensors(typ tensor.Type) (*Export, error) {
	e := &Export{source: m.File.Path}
	var list []weights.Stored
	blocks, undone := 0, 0
	for _, name := range m.File.Names() {
		t, as := m.File.Tensors[name], typ
		if t.Type.IsBlock() {
			blocks++
		}
		if f := m.File.Forms[name]; f != weights.Plain {
			t = undo(t, f)
			undone++
		}
		if n := m.File.Divisor(name); n != 1 {
			var err error
			if t, err = times(t, n); err != nil {
				return nil, err
			}
		}
		if as == 0 {
			if as = t.Type; as.IsBlock() {
				as = tensor.F32
			}
		}
		list = append(list, weights.Stored{Tensor: originalShape(m.Version, t), As: as})
	}
	if names := slices.Sorted(maps.Keys(m.File.Unread)); len(names) > 0 {
		e.noticef("left out are tensors of types that are not read: %d (%s)", len(names), Few(names))
	}
	if blocks > 0 && (typ == 0 || typ == tensor.F32) {
		e.noticef("%d tensors of blocks become F32, which holds their numbers exactly", blocks)
	}
	if undone > 0 {
		e.noticef("%d tensors held exponentials: their exponents are back, to the last bit that can be known", undone)
	}
	slices.SortStableFunc(list, func(a, b weights.Stored) int { // each then lies at a multiple of its elements' size
		return cmp.Compare(b.As.Bytes(1), a.As.Bytes(1))
	})
	meta := map[string]string{"architecture": "rwkv-" + m.Version, madeHere: "rwkv-gpu"}
	if m.File.EmbeddingNormed {
		meta[weights.NormedEmbedding] = "true"
		e.noticef("the embedding went through ln0 when the file was made: other programs will miss blocks.0.ln0")
	}
	for _, eps := range []struct {
		key       string
		is, usual float32
	}{{weights.NormEpsilon, m.NormEps, normEps}, {weights.GroupNormEpsilon, m.GroupNormEps, groupNormEps}} {
		if eps.is != 0 && eps.is != eps.usual {
			meta[eps.key] = strconv.FormatFloat(float64(eps.is), 'g', -1, 32)
			e.noticef("the model's %s is %s, not %v: the file says so in an annotation, which other programs may not read", eps.key, meta[eps.key], eps.usual)
		}
	}
	var err error
	if e.Output, err = weights.Safetensors(list, meta); err != nil {
		return nil, fmt.Errorf("%s: %w", m.File.Path, err)
	}
	return e, nil
}

// originalVectors are the ends of names of vectors that the original files hold as [1, 1, C].
var originalVectors = []string{"x_r", "x_w", "x_k", "x_v", "x_a", "x_g", "w0", "a0", "v0", "k_k", "k_a", "s0",
	"time_mix_k", "time_mix_v", "time_mix_r", "time_mix_g",
	"time_maa_x", "time_maa_w", "time_maa_k", "time_maa_v", "time_maa_r", "time_maa_g"}

// originalShape returns t in the shape that the original files of a version have it in.
func originalShape(version string, t *tensor.Tensor) *tensor.Tensor {
	part := t.Name[strings.LastIndexByte(t.Name, '.')+1:]
	wide := slices.Contains(originalVectors, part) || version == "v6" && part == "time_decay"
	if len(t.Shape) == 1 && strings.HasPrefix(t.Name, "blocks.") && wide {
		return t.Reshaped(1, 1, t.Shape[0])
	}
	return t
}

// GGUFOptions say what a GGUF file is to hold beside the model.
type GGUFOptions struct {
	// Name is the model's, "" for that of its file.
	Name string
	// Vocab holds the bytes of each token by id, nil for ids without; ids beyond it are reserved.
	Vocab [][]byte
	// Types are what to store tensors as, by their names in the model's file; others keep their types.
	Types map[string]tensor.Type
	// RescaleEvery divides att.output and ffn.value of layer i of an RWKV-6 by 2^(i/n), for programs that keep the hidden
	// vector as fp16; of those in blocks it makes F32. 0 keeps them as the file has them.
	RescaleEvery int
}

// GGUF returns the model as a GGUF file with llama.cpp's names, forms and annotations. A *weights.Error says what
// llama.cpp has no place for: versions other than 6 and 7, an initial state, an embedding without its norm, a
// vocabulary that is too large.
func (m *Model) GGUF(o GGUFOptions) (*Export, error) {
	fail := func(field, want, got string) error {
		return &weights.Error{File: m.File.Path, Field: field, Want: want, Got: got}
	}
	arch := weights.LlamaArchitecture(m.Version)
	switch {
	case arch == "":
		return nil, fail("version", "v6 or v7, which are all that GGUF has names for", m.Version+" (a .safetensors file can hold it)")
	case m.File.EmbeddingNormed:
		return nil, fail("blocks.0.ln0.weight", "the norm of the embedding, which GGUF must hold", "an embedding that went through it (a .safetensors file can hold it)")
	case m.GroupNormEps != groupNormEps:
		return nil, fail("group norm epsilon", fmt.Sprintf("%v, which is llama.cpp's and not in the file", float32(groupNormEps)), fmt.Sprintf("%v (a .safetensors file can hold it)", m.GroupNormEps))
	case len(o.Vocab) > m.Vocab:
		return nil, fail("vocabulary", fmt.Sprintf("at most %d tokens, the rows of emb.weight", m.Vocab), strconv.Itoa(len(o.Vocab)))
	}
	found, _, err := m.collect(m.version)
	if err != nil {
		return nil, err
	}
	for name := range found {
		if strings.HasSuffix(name, ".time_state") {
			return nil, fail("tensor "+name, "none: GGUF has no place for an initial state", "one (a .safetensors file can hold it)")
		}
	}
	e := &Export{source: m.File.Path}
	if notice := m.UnusedNotice(); notice != "" {
		e.noticef("left out are %s", notice)
	}
	every, err := m.rescale(found, o.RescaleEvery)
	if err != nil {
		return nil, err
	}
	tensors := weights.Llama(m.Version, m.Layers, found, o.Types)
	var list annotations
	list.add("general.architecture", arch)
	list.add("general.type", "model")
	list.add("general.name", cmp.Or(o.Name, m.File.Meta["general.name"], modelName(m.File.Path)))
	m.sizes(&list, arch, every)
	list.add("general.file_type", m.fileType(tensors, len(o.Types)+len(m.Merges) > 0))
	list.add(arch+".attention.head_count", uint32(0)) // llama.cpp wants it there
	vocab := slices.Concat(o.Vocab, make([][]byte, m.Vocab-len(o.Vocab)))
	list = append(list, weights.VocabularyAnnotations(vocab)...)
	list.add("general.quantization_version", uint32(2)) // ggml's, of the blocks that package tensor knows
	list.inherit(m.File)
	e.Output = weights.GGUF(list, tensors)
	e.Quantize = quant.Encode
	return e, nil
}

// rescale divides tensors as every says, unless the file has them divided already, and returns what holds then.
func (m *Model) rescale(tensors map[string]*tensor.Tensor, every int) (int, error) {
	is := m.File.RescaleEvery
	if m.Version == "v6" && (every == 0 || every == is) || every == 0 && is == 0 {
		return is, nil
	}
	if m.Version != "v6" || is != 0 {
		return 0, &weights.Error{File: m.File.Path, Field: "rescaling", Want: "an RWKV-6 that is not divided yet", Got: fmt.Sprintf("%s, divided every %d layers", m.Version, is)}
	}
	for l := range m.Layers {
		for _, part := range []string{"att.output.weight", "ffn.value.weight"} {
			name := fmt.Sprintf("blocks.%d.%s", l, part)
			t, typ := tensors[name], tensors[name].Type
			if !typ.CanEncode() {
				typ = tensor.F32
			}
			tensors[name] = scaled(t, typ, 1/float32(int(1)<<min(l/every, 30)))
		}
	}
	return every, nil
}

// annotations are those of a GGUF file.
type annotations []weights.Annotation

func (a *annotations) add(key string, value any) {
	*a = append(*a, weights.Annotation{Key: key, Value: value})
}

// sizes adds what llama.cpp must know of the model before it looks at tensors.
func (m *Model) sizes(list *annotations, arch string, every int) {
	number := func(key string, n int) { list.add(arch+"."+key, uint32(n)) }
	number("context_length", 1<<20) // no limit
	number("embedding_length", m.Embed)
	number("block_count", m.Layers)
	list.add(arch+".attention.layer_norm_epsilon", m.NormEps)
	if m.Version == "v6" {
		number("rescale_every_n_layers", every)
	}
	number("wkv.head_size", m.HeadSize)
	if m.Version == "v6" {
		number("time_mix_extra_dim", m.Ranks["mix"])
		number("time_decay_extra_dim", m.Ranks["decay"])
	} else {
		v, ok := m.Ranks["v"]
		if !ok {
			v = m.Ranks["a"] // of the stand-ins in a model of one layer
		}
		number("attention.decay_lora_rank", m.Ranks["w"])
		number("attention.iclr_lora_rank", m.Ranks["a"])
		number("attention.value_residual_mix_lora_rank", v)
		number("attention.gate_lora_rank", m.Ranks["g"])
	}
	number("feed_forward_length", m.FFN)
}

// modelName returns a name for the model in the file at path.
func modelName(path string) string {
	dir, base := filepath.Split(filepath.Clean(path))
	name := strings.TrimSuffix(base, ".index.json")
	name = strings.TrimSuffix(name, filepath.Ext(name))
	if parent := filepath.Base(dir); (name == "model" || name == "pytorch_model") && parent != "." && parent != string(filepath.Separator) {
		return parent
	}
	return name
}

// fileTypes are llama.cpp's numbers for files mostly of a type; where it has several, the one that llama-quantize takes
// the type's name for.
var fileTypes = map[tensor.Type]uint32{
	tensor.F32: 0, tensor.F16: 1, tensor.Q4_0: 2, tensor.Q4_1: 3, tensor.Q8_0: 7, tensor.Q5_0: 8, tensor.Q5_1: 9,
	tensor.Q3_K: 12, tensor.Q4_K: 15, tensor.Q5_K: 17, tensor.Q6_K: 18, tensor.IQ4_NL: 25, tensor.BF16: 32,
}

// fileType returns llama.cpp's number for what most numbers of the layers' matrices are stored as, or that of the GGUF
// file that the model comes from if its types have not changed.
func (m *Model) fileType(tensors []weights.Stored, changed bool) uint32 {
	if n, err := strconv.ParseUint(m.File.Meta["general.file_type"], 10, 32); err == nil && !changed && m.File.Format == "GGUF" {
		return uint32(n)
	}
	counts := map[tensor.Type]int{}
	most := tensor.F32
	for i := range tensors {
		s := &tensors[i]
		if len(s.Shape) != 2 || !strings.HasPrefix(s.Name, "blk.") {
			continue
		}
		if counts[s.As] += s.Len(); counts[s.As] > counts[most] {
			most = s.As
		}
	}
	return fileTypes[most]
}

// inherited are annotations that a GGUF file passes on to one made of it. They are texts.
var inherited = []string{"author", "version", "organization", "description", "basename", "finetune", "size_label",
	"license", "license.name", "license.link", "url", "repo_url", "doi", "uuid", "quantized_by"}

// inherit takes over what people wrote into the GGUF file f.
func (a *annotations) inherit(f *weights.File) {
	if f.Format != "GGUF" {
		return
	}
	keys := []string{"tokenizer.chat_template"}
	for _, k := range inherited {
		keys = append(keys, "general."+k)
	}
	for _, k := range keys {
		if value, ok := f.Meta[k]; ok {
			a.add(k, value)
		}
	}
}

// Save writes the file; see weights.Save. Errors about what the model holds name its file.
func (e *Export) Save(path string, force bool, progress func(done, all int64) error) error {
	err := weights.Save(path, force, func(w io.Writer) error { return e.Write(w, progress) })
	var at *weights.Error
	if errors.As(err, &at) && at.File == "" {
		at.File = e.source
	}
	return err
}
