package model

import (
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// version is one row of the table of architectures, with everything in which the version differs from the others.
type version struct {
	name string
	// has are tensors that files of this version have, and files of the rows below it do not have.
	has []string
	// is, if not nil, is a further condition for files of this version.
	is          func(*weights.File) bool
	tensors     []spec
	idle        []string // tensors that files carry though nothing uses them
	stateLayout string   // one of the layouts below
	// ownEps reports whether files of this version were made for more than one epsilon of the group norm.
	ownEps bool
	// derive completes the configuration from the sizes found. Its error names the tensor; New adds the file.
	derive func(c *Config, d dims) *weights.Error
	// timeMix and channelMix emit one layer's ops.
	timeMix, channelMix func(*block)
	// llama is how llama.cpp's GGUF files store this version. It is nil if llama.cpp does not have the version.
	llama *Llama
}

// Layouts of a slot's matrices. In RWKV-7 row i of a head's matrix belongs to element i of the value, and column j to
// element j of the key. In RWKV-5 and 6 it is the other way round. RWKV-4 has no matrix.
const (
	valueMajor = "value-major"
	keyMajor   = "key-major"
	vectors    = "vectors"
)

// spec is one tensor of a version: its name, in a layer without the prefix blocks.N., and its shape in named sizes.
type spec struct {
	name     string
	or       string // another name that a file may have it by
	shape    string // as the original files have it; "1 1 C" is a vector of C elsewhere
	layer    bool
	from     int  // the first layer that has it
	optional bool // a file may lack it
	quant    role // what it becomes when the model is quantized
}

// is reports whether a file may have the tensor by that name, in a layer without the prefix.
func (s *spec) is(name string) bool { return s.name == name || s.or != "" && s.or == name }

// vectorPrefix begins the shape of a vector that the original files store with three dimensions.
const vectorPrefix = "1 1 "

// sizes returns the named sizes of the tensor's dimensions, without those of 1.
func (s *spec) sizes() []string { return strings.Fields(strings.TrimPrefix(s.shape, vectorPrefix)) }

// Llama is how llama.cpp's GGUF files store a version.
type Llama struct {
	*weights.LlamaLayout             // names, order and orientation of tensors
	Ranks                []LlamaRank // the annotations of low-rank widths, in order
	// Divided reports whether att.output and ffn.value may be stored divided by powers of two. An annotation of the file
	// says so.
	Divided bool
}

// LlamaRank is an annotation of a low-rank width.
type LlamaRank struct {
	Key  string // behind the architecture's name
	Rank string // which of Config.Ranks
	Or   string // which other one if the model has no such rank
}

// versions lists the architectures, the most specific first.
var versions = []*version{
	version8,
	version7a,
	version7,
	version6,
	version52,
	version51,
	version50,
	version4,
}

// Supported names the versions that New accepts.
func Supported() string {
	var names []string
	for _, v := range slices.Backward(versions) {
		names = append(names, v.name)
	}
	return strings.Join(names, ", ")
}

// LlamaVersions names the versions that llama.cpp's GGUF files can have.
func LlamaVersions() []string {
	var names []string
	for _, v := range slices.Backward(versions) {
		if v.llama != nil {
			names = append(names, v.name)
		}
	}
	return names
}

// title returns the version's name for people.
func (v *version) title() string { return "RWKV-" + strings.TrimPrefix(v.name, "v") }

// detect returns the version of the file, by its tensors.
func detect(f *weights.File) (*version, error) {
	fail := func(want, got string) error {
		return &weights.Error{File: f.Path, Field: "version", Want: want, Got: got}
	}
	if what, name := other(f); what != "" {
		return nil, fail(Supported(), what+": not supported (tensor "+name+")")
	}
	for _, v := range versions {
		for _, name := range v.has {
			if _, ok := f.Tensors[name]; ok && (v.is == nil || v.is(f)) {
				return v, nil
			}
		}
	}
	return nil, fail("an RWKV model ("+Supported()+")", notModel(f))
}

// globals are the tensors outside the layers. All versions have them.
var globals = []spec{
	{name: "emb.weight", shape: "V C"},
	{name: "blocks.0.ln0.weight", shape: "C"},
	{name: "blocks.0.ln0.bias", shape: "C"},
	{name: "ln_out.weight", shape: "C"},
	{name: "ln_out.bias", shape: "C"},
	{name: "head.weight", shape: "V C", quant: head},
}

// norms are the layer norms of each layer.
var norms = layer("C", "ln1.weight", "ln1.bias", "ln2.weight", "ln2.bias")

// layer returns the specs of a layer's tensors of one shape.
func layer(shape string, names ...string) []spec { return layerFrom(0, shape, names...) }

func layerFrom(from int, shape string, names ...string) []spec {
	list := make([]spec, len(names))
	for i, n := range names {
		list[i] = spec{name: n, shape: shape, layer: true, from: from}
	}
	return list
}

// products returns the specs of a layer's large matrices. A decoded token reads little else.
func products(shape string, names ...string) []spec {
	list := layer(shape, names...)
	for i := range list {
		list[i].quant = product
	}
	return list
}
