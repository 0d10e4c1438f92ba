package convert

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// GGUFOptions say what a GGUF file has beside the model.
type GGUFOptions struct {
	// Name is the model's name, "" for the name of its file.
	Name string
	// Vocab has the bytes of each token by id, nil for ids without a token. Ids beyond it are reserved.
	Vocab [][]byte
	// Types has the types to store tensors as, by their names in the model's file. Other tensors keep their types.
	Types map[string]tensor.Type
	// RescaleEvery divides att.output and ffn.value of layer i by 2^(i/n), for programs that keep the hidden vector as
	// fp16. Those in blocks become F32. 0 keeps them as the file has them. Other values need a version whose model.Llama
	// says Divided.
	RescaleEvery int
}

// GGUF returns m as a GGUF file with llama.cpp's names, shapes and annotations. The error is a *weights.Error if
// llama.cpp has no place for something: a version whose model.Llama is nil (CheckGGUF), an initial state, an embedding
// without its norm, a vocabulary that is too large.
func GGUF(m *model.Model, o GGUFOptions) (*Export, error) {
	fail := func(field, want, got string) error {
		return &weights.Error{File: m.File.Path, Field: field, Want: want, Got: got}
	}
	if err := CheckGGUF(m); err != nil {
		return nil, err
	}
	switch {
	case m.File.EmbeddingNormed:
		return nil, fail("blocks.0.ln0.weight", "the norm of the embedding, which GGUF must hold", "an embedding that went through it (a .safetensors file can hold it)")
	case m.GroupNormEps != model.OriginalGroupNormEps:
		return nil, fail("group norm epsilon", fmt.Sprintf("%v, which is llama.cpp's and not in the file", float32(model.OriginalGroupNormEps)), fmt.Sprintf("%v (a .safetensors file can hold it)", m.GroupNormEps))
	case len(o.Vocab) > m.Vocab:
		return nil, fail("vocabulary", fmt.Sprintf("at most %d tokens, the rows of emb.weight", m.Vocab), strconv.Itoa(len(o.Vocab)))
	}
	found := m.Tensors()
	for name := range found {
		if strings.HasSuffix(name, ".time_state") {
			return nil, fail("tensor "+name, "none: GGUF has no place for an initial state", "one (a .safetensors file can hold it)")
		}
	}
	e := &Export{source: m.File.Path}
	if notice := m.UnusedNotice(); notice != "" {
		e.noticef("left out are %s", notice)
	}
	every, err := rescale(m, found, o.RescaleEvery)
	if err != nil {
		return nil, err
	}
	form := m.Llama()
	tensors := form.Stored(m.Layers, found, o.Types)
	var list annotations
	list.add("general.architecture", form.Name())
	list.add("general.type", "model")
	list.add("general.name", cmp.Or(o.Name, m.File.Meta["general.name"], modelName(m.File.Path)))
	list.sizes(m, every)
	list.add("general.file_type", fileType(m, tensors, len(o.Types)+len(m.File.Sources) > 0))
	list.add(form.Name()+".attention.head_count", uint32(0)) // llama.cpp wants it there
	vocab := slices.Concat(o.Vocab, make([][]byte, m.Vocab-len(o.Vocab)))
	list = append(list, weights.VocabularyAnnotations(vocab)...)
	list.add("general.quantization_version", uint32(2)) // ggml's, of the blocks that package tensor knows
	list.inherit(m.File)
	e.Output = weights.GGUF(list, tensors)
	e.Quantize = quant.Encode
	return e, nil
}

// CheckGGUF returns an error if llama.cpp does not have m's version.
func CheckGGUF(m *model.Model) error {
	if m.Llama() != nil {
		return nil
	}
	return &weights.Error{File: m.File.Path, Field: "version", Got: m.Version + " (a .safetensors file can hold it)",
		Want: strings.Join(model.LlamaVersions(), " or ") + ", which are all that GGUF has names for"}
}

// rescale divides tensors as every says, unless the file has them divided already. It returns the RescaleEvery of the
// result.
func rescale(m *model.Model, tensors map[string]*tensor.Tensor, every int) (int, error) {
	fail := func(want string, every int) (int, error) {
		return 0, &weights.Error{File: m.File.Path, Field: "rescaling", Want: want, Got: fmt.Sprintf("%s, divided every %d layers", m.Version, every)}
	}
	is := m.File.RescaleEvery
	switch {
	case !m.Llama().Divided && max(is, every) > 0:
		return fail("none, since GGUF has no place for it in this version", max(is, every))
	case every == 0 || every == is:
		return is, nil
	case is != 0:
		return fail("tensors that are not divided yet", is)
	}
	for l := range m.Layers {
		for _, part := range []string{"att.output.weight", "ffn.value.weight"} {
			name := fmt.Sprintf("blocks.%d.%s", l, part)
			t, typ := tensors[name], tensors[name].Type
			if !typ.CanEncode() {
				typ = tensor.F32
			}
			tensors[name] = tensor.Scaled(t, typ, 1/float32(int(1)<<min(l/every, 30)))
		}
	}
	return every, nil
}

// annotations are the annotations of a GGUF file.
type annotations []weights.Annotation

func (a *annotations) add(key string, value any) {
	*a = append(*a, weights.Annotation{Key: key, Value: value})
}

// sizes adds the sizes that llama.cpp needs before it looks at tensors.
func (a *annotations) sizes(m *model.Model, every int) {
	form := m.Llama()
	number := func(key string, n int) { a.add(form.Name()+"."+key, uint32(n)) }
	number("context_length", 1<<20) // no limit
	number("embedding_length", m.Embed)
	number("block_count", m.Layers)
	a.add(form.Name()+".attention.layer_norm_epsilon", m.NormEps)
	if form.Divided {
		number("rescale_every_n_layers", every)
	}
	number("wkv.head_size", m.HeadSize)
	for _, r := range form.Ranks {
		n, ok := m.Ranks[r.Rank]
		if !ok {
			n = m.Ranks[r.Or]
		}
		number(r.Key, n)
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

// fileTypes are llama.cpp's numbers for files with most tensors of a type. If it has several, this is the one that
// llama-quantize uses for the type's name.
var fileTypes = map[tensor.Type]uint32{
	tensor.F32: 0, tensor.F16: 1, tensor.Q4_0: 2, tensor.Q4_1: 3, tensor.Q8_0: 7, tensor.Q5_0: 8, tensor.Q5_1: 9,
	tensor.Q3_K: 12, tensor.Q4_K: 15, tensor.Q5_K: 17, tensor.Q6_K: 18, tensor.IQ4_NL: 25, tensor.BF16: 32,
}

// fileType returns llama.cpp's number for the type of most numbers of the layers' matrices. If the model comes from a
// GGUF file and its types have not changed, it is that file's number.
func fileType(m *model.Model, tensors []weights.Stored, changed bool) uint32 {
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

// inherited are the annotations that a GGUF file passes on to one made from it. They are texts.
var inherited = []string{"author", "version", "organization", "description", "basename", "finetune", "size_label",
	"license", "license.name", "license.link", "url", "repo_url", "doi", "uuid", "quantized_by"}

// inherit copies what people wrote into the GGUF file f.
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
