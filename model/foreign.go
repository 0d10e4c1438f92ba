package model

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// A file may have tensors that its version does not use. Some are known to change what the model computes. They are
// refused by name, since the numbers would be wrong without them. The others are Model.Unused.

// addition is something that models add to their version, with the names of its tensors.
type addition struct {
	what  string
	names *regexp.Regexp
}

// own is the beginning of RWKV's own names, in the layouts that keep the names of additions. Other networks in the same
// file, such as the encoder of images, add nothing to the model.
const own = `^((model|rwkv7?)\.)?((blocks|layers)\.[0-9]+|emb|embeddings|head|lm_head|ln_out|norm)\.`

// additions are those that no version here computes. Most are in BlinkDL's RWKV-LM (RWKV-v4neo/src/model.py,
// RWKV-v5/src/model.py). The others are written by the tools that they name.
var additions = []addition{
	{"a LoRA that is not merged into its matrix (merge it, or keep it in a file of its own)", regexp.MustCompile(own + `(.*\.)?((init_)?lora_[AB]|lora_(embedding_[AB]|magnitude_vector))(\.|$)`)},
	{"DiSHA (Bone, Bat) that is not merged into its matrix", regexp.MustCompile(own + `(.*\.)?(disha|bone)(\.|$)`)},
	{"head_qk, attention that copies tokens of the text", regexp.MustCompile(`^(head_[qk]\.|copy_mask$)`)},
	{"tiny attention", regexp.MustCompile(own + `tiny_(ln|q|k|v|mask)(\.|$)`)},
	{"attention beside the time mix", regexp.MustCompile(own + `att\.((qq|kk|vv|oo|rr)\.|time_mix_(qq|kk|vv|rr)$|att_mask$)`)},
	{"MishGLU in the place of the channel mix", regexp.MustCompile(own + `ffn\.(aa|bb)\.`)},
	{"an embedding of positions", regexp.MustCompile(`^pos_emb(_[xy])?(\.|$)|` + own + `pos_emb(_[xy])?(\.|$)`)},
	{"8-bit numbers of the rwkv package", regexp.MustCompile(own + `(.*\.)?weight_[mr][xy]$`)},
	{"scales of a quantized matrix", regexp.MustCompile(own + `(.*\.)?(weight_scale(_inv)?|weight\.(absmax|quant_map|quant_state\..*|nested_absmax)|SCB|qweight|qzeros|scales|g_idx)$`)},
}

// others are known architectures that are not supported. They are recognised before the versions, since their files may
// have all tensors of a version.
var others = []addition{
	{"RWKV-8 with ROSA", regexp.MustCompile(`(^|\.|_)rosa([0-9]*|_qkv)\.`)},
	{"RWKV-8 rc00 with attention beside it (hybrid)", regexp.MustCompile(`^blocks\.[0-9]+\.qkv\.(ennk|emm|kkup|vvup)\.`)},
	{"RWKV-7b (DeepEmbed attention)", regexp.MustCompile(`^blocks\.[0-9]+\.qkv\.`)},
	{"a channel mix in the place of the first time mix (pre_ffn)", regexp.MustCompile(`^blocks\.[0-9]+\.ffnPre\.`)},
	{"attention in the place of time mixes (a hybrid, or no RWKV)", regexp.MustCompile(`\.attn\.q_proj\.`)},
}

// allNames returns the sorted names of f's tensors, including those of types that cannot be read.
func allNames(f *weights.File) []string {
	names := slices.AppendSeq(f.Names(), maps.Keys(f.Unread))
	slices.Sort(names)
	return names
}

// other returns which of others the file is, and the first of its tensors that says so, or "".
func other(f *weights.File) (what, name string) {
	names := allNames(f)
	for _, o := range others {
		if i := slices.IndexFunc(names, o.names.MatchString); i >= 0 {
			return o.what, names[i]
		}
	}
	return "", ""
}

// layerOf returns the layer of a tensor and its name there.
func layerOf(name string) (layer int, part string, ok bool) {
	rest, ok := strings.CutPrefix(name, "blocks.")
	number, part, dot := strings.Cut(rest, ".")
	layer, err := strconv.Atoi(number)
	return layer, part, ok && dot && err == nil && layer >= 0 && part != ""
}

// addsTo returns what the named tensor of f is known to add to a model, or "". v does not use the tensor.
func (v *version) addsTo(f *weights.File, name string) string {
	for _, a := range additions {
		if a.names.MatchString(name) {
			return a.what
		}
	}
	if _, part, ok := layerOf(name); ok {
		for _, other := range slices.Backward(versions) {
			if slices.ContainsFunc(other.tensors, func(s spec) bool { return s.is(part) }) {
				return "a part of " + other.title()
			}
		}
	}
	if stem, ok := strings.CutSuffix(name, ".bias"); ok && v.uses(stem+".weight") {
		if w := f.Tensors[stem+".weight"]; w != nil && len(squeeze(w, 1).Shape) > 1 {
			return "a bias of the matrix " + stem + ".weight"
		}
	}
	return ""
}

// uses reports whether v has a place for the named tensor.
func (v *version) uses(name string) bool {
	if slices.ContainsFunc(globals, func(s spec) bool { return s.name == name }) {
		return true
	}
	layer, part, ok := layerOf(name)
	has := func(s spec) bool { return s.is(part) && layer >= s.from }
	return ok && (slices.ContainsFunc(norms, has) || slices.ContainsFunc(v.tensors, has))
}

// changes matches the names of tensors that change others: those of package lora.
var changes = regexp.MustCompile(`(^|\.)((init_)?lora_[AB]|disha)$`)

// Describe says what kind of file f is, after somebody opened it as another kind: a model, a LoRA, an initial state, or
// none of these.
func Describe(f *weights.File) string {
	if _, err := detect(f); err == nil {
		return "a model"
	}
	return notModel(f)
}

// notModel says what kind of file f is. It is no model.
func notModel(f *weights.File) string {
	names := allNames(f)
	switch {
	case slices.ContainsFunc(names, isAdapter):
		return "an adapter of Hugging Face's peft, whose merge_and_unload merges it into its model"
	case f.Meta["general.type"] == "adapter" && f.Format == "GGUF":
		return "a GGUF adapter, which llama-export-lora merges into its model"
	case slices.ContainsFunc(names, changes.MatchString):
		return "a LoRA, which is merged into a model"
	case len(names) > 0 && strings.HasSuffix("."+names[0], ".time_state"):
		return "an initial state, which a model begins with"
	}
	if len(names) == 0 {
		return "no tensors"
	}
	return fmt.Sprintf("tensors of none (%d, the first named %s)", len(names), names[0])
}

// isAdapter reports whether a tensor of that name is one of an adapter of peft.
func isAdapter(name string) bool { return strings.HasPrefix(name, "base_model.model.") }

// refuseAdditions returns an error about the first tensor of f that would change the result and that v does not use.
func (v *version) refuseAdditions(f *weights.File) error {
	for _, name := range allNames(f) {
		if v.uses(name) || slices.Contains(v.idle, name) {
			continue
		}
		if what := v.addsTo(f, name); what != "" {
			return &weights.Error{File: f.Path, Tensor: name, Want: "only what " + v.title() + " computes",
				Got: what + ": it would change the result, and is not supported"}
		}
	}
	return nil
}

// UnusedNotice names in a line the tensors of the file that the model does not use. It is "" if none is worth a word.
func (m *Model) UnusedNotice() string {
	names := slices.DeleteFunc(slices.Clone(m.Unused), func(n string) bool { return slices.Contains(m.version.idle, n) })
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("tensors that %s does not use: %d (%s)", m.version.title(), len(names), Few(names))
}

// Few lists names. If there are many, it cuts the list short.
func Few(names []string) string {
	const most = 8
	if len(names) <= most {
		return strings.Join(names, " ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], " "), len(names)-most)
}
