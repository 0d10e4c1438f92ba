package weights

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// A file may state sizes, which its tensors show too, and the epsilons of norms, which they do not show. Every format
// has its own names for these.

// Size is a size of a model that a file may state.
type Size string

// The sizes. Ranks are those of low-rank matrices, by the letter that a model has for them.
const (
	Layers   Size = "layers"
	Width    Size = "width"
	FFN      Size = "ffn"
	Rows     Size = "vocabulary"
	HeadSize Size = "head size"
	Heads    Size = "heads"
)

// Rank returns the size that is a rank.
func Rank(letter string) Size { return Size("rank " + letter) }

// Letter returns the letter of a rank.
func (s Size) Letter() (letter string, ok bool) { return strings.CutPrefix(string(s), "rank ") }

// Claim is a size that a file states.
type Claim struct {
	Of          Size
	N           int
	File, Field string // where: config.json or the model file itself, and its name for the size
}

// Epsilons are the epsilons of a model's norms that its file states, 0 for those that it does not state.
type Epsilons struct {
	Norm       float32 // layer norms
	Group      float32 // the norm over each head
	PerElement float64 // the same for each element of a head, where Group is 0: fla multiplies norm_eps by the head's size
}

// ggufSizes are llama.cpp's names of sizes, behind the architecture and a dot.
var ggufSizes = map[string]Size{
	"block_count": Layers, "embedding_length": Width, "feed_forward_length": FFN, "vocab_size": Rows, "wkv.head_size": HeadSize,
	"time_mix_extra_dim": Rank("mix"), "time_decay_extra_dim": Rank("decay"),
	"attention.decay_lora_rank": Rank("w"), "attention.iclr_lora_rank": Rank("a"),
	"attention.value_residual_mix_lora_rank": Rank("v"), "attention.gate_lora_rank": Rank("g"),
}

// configSizes are the names of sizes in a config.json. The number of heads counts only if nothing else tells it: fla
// does not look at num_heads beside head_dim, and num_attention_heads is a head's size in the v5 and v6 directories.
var configSizes = map[string]Size{
	"num_hidden_layers": Layers, "hidden_size": Width, "attention_hidden_size": Width, "intermediate_size": FFN, "vocab_size": Rows,
	"head_dim": HeadSize, "head_size": HeadSize,
	"decay_low_rank_dim": Rank("w"), "a_low_rank_dim": Rank("a"), "v_low_rank_dim": Rank("v"), "gate_low_rank_dim": Rank("g"),
	"lora_rank_decay": Rank("w"), "lora_rank_iclr": Rank("a"), "lora_rank_value_residual_mix": Rank("v"), "lora_rank_gate": Rank("g"),
}

// Annotations of safetensors files under the original names for epsilons other than the original implementation's.
// convert writes them.
const (
	NormEpsilon      = "norm_eps"
	GroupNormEpsilon = "group_norm_eps"
)

// statement reads the claims of f, whose layout is known. config is the path of its config.json, "" without one.
type statement struct {
	f      *File
	config string
}

// read sets f.Claims, f.Epsilons and f.Tied. Its errors name the file that states what is wrong.
func (s *statement) read() error {
	sizes, prefix, path := map[string]Size{}, "", s.f.Path
	switch arch := s.f.Meta[ggufArchitecture]; {
	case s.f.Format == "GGUF":
		sizes, prefix = ggufSizes, arch+"."
	case s.config != "":
		sizes, prefix, path = configSizes, "config.", s.config
		if err := s.tie(); err != nil {
			return err
		}
		if _, ok := s.f.Meta["config.head_dim"]; !ok {
			if err := s.claim(Heads, "config.num_heads", path); err != nil {
				return err
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(sizes)) {
		if err := s.claim(sizes[key], prefix+key, path); err != nil {
			return err
		}
	}
	for _, x := range settled {
		if got, ok := s.f.Meta[prefix+x.key]; ok && s.f.Layout == x.layout && got != x.want {
			return &Error{File: path, Field: field(prefix + x.key), Want: x.want + ", which is all that RWKV has here", Got: fmt.Sprintf("%q", clip(got))}
		}
	}
	return s.epsilons(prefix, path)
}

// settled are what a layout's files may state otherwise though it is part of RWKV's formulas, and what that is.
var settled = []struct{ layout, key, want string }{
	{flaLayout.name, "hidden_act", "sqrelu"}, // of the channel mix
	{llamaV7.name, "token_shift_count", "2"}, // a layer has two, in a hybrid one
}

// tie makes the embedding the head if the configuration says so, as transformers does.
func (s *statement) tie() error {
	const key = "config.tie_word_embeddings"
	emb, head := s.f.Tensors["emb.weight"], s.f.Tensors["head.weight"]
	switch {
	case s.f.Meta[key] != "true" || emb == nil:
		return nil
	case s.f.EmbeddingNormed:
		return &Error{File: s.config, Field: field(key), Want: "false, as the embedding went through ln0", Got: "true"}
	case head == nil:
		s.f.Tied = true
		s.f.Tensors["head.weight"] = emb.Part("head.weight", emb.Shape, emb.Load)
		return nil
	}
	same, err := sameBytes(emb, head)
	if err == nil && !same {
		err = &Error{File: s.config, Field: field(key), Want: "false, as the head differs from the embedding", Got: "true"}
	}
	return err
}

// sameBytes reports whether two tensors are the same number for number.
func sameBytes(a, b *tensor.Tensor) (bool, error) {
	if a.Type != b.Type || !slices.Equal(a.Shape, b.Shape) {
		return false, nil
	}
	same := false
	err := a.Use(func(x []byte) error {
		return b.Use(func(y []byte) error {
			same = bytes.Equal(x, y)
			return nil
		})
	})
	return same, err
}

// claim adds the size that an annotation states, if there is one.
func (s *statement) claim(of Size, key, path string) error {
	text, ok := s.f.Meta[key]
	if !ok {
		return nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return &Error{File: path, Field: field(key), Want: "a whole number of 1 or more", Got: fmt.Sprintf("%q", clip(text))}
	}
	s.f.Claims = append(s.f.Claims, Claim{Of: of, N: n, File: path, Field: field(key)})
	return nil
}

// field returns an annotation's name in its own file.
func field(key string) string { return strings.TrimPrefix(key, "config.") }

// epsilons reads the epsilons of norms. If one has two names, the later name counts first. convert's annotations in the
// file itself count before the config.json beside it.
func (s *statement) epsilons(prefix, path string) error {
	var layer, group, divisor float64
	type epsilon struct {
		key  string
		to   *float64
		most float64
	}
	var list []epsilon
	annotated := 0 // those of the list's end that are the file's own
	switch {
	case s.f.Format == "GGUF":
		list = []epsilon{{prefix + "attention.layer_norm_epsilon", &layer, 1}, {prefix + "attention.group_norm_epsilon", &group, 1}}
	case s.config != "":
		list = []epsilon{{"config.layer_norm_epsilon", &layer, 1}, {"config.norm_eps", &layer, 1}, {"config.group_norm_epsilon", &group, 1}}
		if s.f.Layout == transformersOld.name {
			list = append(list, epsilon{"config.head_size_divisor", &divisor, 1 << 10})
		}
	}
	if s.f.Layout == "original" && s.f.Format == "safetensors" {
		annotated = 2
		list = append(list, epsilon{NormEpsilon, &layer, 1}, epsilon{GroupNormEpsilon, &group, 1})
	}
	for i, e := range list {
		if i >= len(list)-annotated {
			path = s.f.Path
		}
		text, ok := s.f.Meta[e.key]
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x >= smallest && x <= e.most) {
			return &Error{File: path, Field: field(e.key), Want: fmt.Sprintf("a number above 0, at most %v", e.most), Got: fmt.Sprintf("%q", clip(text))}
		}
		*e.to = x
	}
	if divisor != 0 { // what training divides by before the norm, whose own epsilon is 1e-5
		group = 1e-5 * divisor * divisor
	}
	s.f.Epsilons = Epsilons{Norm: float32(layer), Group: float32(group)}
	if _, ok := s.f.Meta["config.norm_eps"]; ok && s.f.Layout == flaLayout.name {
		s.f.Epsilons.PerElement = layer
	}
	return nil
}

// smallest is the least epsilon that float32 stores with all its digits.
const smallest = 0x1p-126
