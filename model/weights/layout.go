package weights

import (
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// layout is a naming scheme: how to know it and how to reach the original names and orientation from it.
type layout struct {
	name    string
	match   func(names index) (evidence string, ok bool, err error)
	prepare func(x index) (index, error) // cuts, reshapes and leaves out tensors under the layout's own names; may be nil
	scheme  *scheme                      // other names for everything; may be nil
	rename  []rename                     // for what scheme does not know; the first that applies to a name is used
	swapped []string                     // last parts of original names whose last two dimensions the layout swaps
	fused   bool                         // the layout may hold an embedding that went through ln0, without ln0
}

// rename replaces part of a name, where the file has a tensor whose name contains when and none containing unless.
type rename struct {
	when, unless string // "" for no condition
	old, new     string
}

// layouts are tried in order; the last one matches everything, so that a file of other tensors opens too and the
// model says which of its tensors are missing.
var layouts = []layout{
	llamaV6,
	llamaV7,
	flaLayout,
	nativeLayout,
	transformersV7,
	transformersOld,
	{
		name:  "web-rwkv",
		match: isWebRWKV,
		rename: []rename{
			{old: ".lora.0", new: ".lora_A"}, {old: ".lora.1", new: ".lora_B"}, // of a LoRA
			{when: ".att.time_mix_w1", old: ".time_mix_", new: ".time_maa_"},                                  // v6
			{when: ".att.time_mix_w1", old: ".att.time_first", new: ".att.time_faaaa"},                        // v6
			{when: ".att.gate.weight", unless: ".time_faaaa", old: ".att.time_first", new: ".att.time_faaaa"}, // v5.1, v5.2
		},
		swapped: []string{
			"w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2", // v7
			"time_maa_w1", "time_maa_w2", "time_decay_w1", "time_decay_w2", // v6
			"time_state", // v5, v6, v7
			"lora_A",
		},
	},
	{name: "original", match: func(index) (string, bool, error) { return "nothing speaks for another one", true, nil }},
}

// index is a file's tensors by unwrapped name, with the names in order.
type index struct {
	tensors map[string]*tensor.Tensor
	names   []string
	meta    map[string]string
	unread  []unread
	format  string // of the container
}

func newIndex(c contents) (index, error) {
	x := index{tensors: make(map[string]*tensor.Tensor, len(c.tensors)), meta: c.meta, unread: c.unread}
	for _, t := range c.tensors {
		name := unwrapped(t.Name)
		if old, ok := x.tensors[name]; ok {
			return x, duplicate(t.Name, old.Name, name)
		}
		x.tensors[name] = t
		x.names = append(x.names, name)
	}
	slices.Sort(x.names)
	return x, nil
}

func duplicate(a, b, name string) error {
	return &Error{Tensor: a, Field: "name", Want: "one tensor for " + clip(name), Got: "also " + clip(b)}
}

// find returns the first name that contains part, of those of tensors that are not read the last, or "".
func (x index) find(part string) string {
	for _, n := range x.names {
		if strings.Contains(n, part) {
			return n
		}
	}
	for _, u := range x.unread {
		if n := unwrapped(u.name); strings.Contains(n, part) {
			return n
		}
	}
	return ""
}

// contains matches a file with names that contain each of parts.
func contains(parts ...string) func(index) (string, bool, error) {
	return func(x index) (string, bool, error) {
		evidence := ""
		for _, p := range parts {
			if evidence = x.find(p); evidence == "" {
				return "", false, nil
			}
		}
		return "it has " + evidence, true, nil
	}
}

// name recognises the layout of c and fills f.Tensors.
func (f *File) name(c contents) error {
	x, err := newIndex(c)
	if err != nil {
		return err
	}
	x.format = f.Format
	if c.layout != "" {
		f.Layout, f.Evidence = c.layout, "the format has no other"
		return f.original(x, layout{})
	}
	for _, l := range layouts {
		evidence, ok, err := l.match(x)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if l.prepare != nil {
			if x, err = l.prepare(x); err != nil {
				return err
			}
		}
		f.Layout, f.Evidence = l.name, evidence
		return f.original(x, l)
	}
	return nil
}

// original fills f.Tensors with the tensors of x as l says.
func (f *File) original(x index, l layout) error {
	renames := slices.DeleteFunc(slices.Clone(l.rename), func(r rename) bool {
		return r.when != "" && x.find(r.when) == "" || r.unless != "" && x.find(r.unless) != ""
	})
	rename := func(name string) string {
		if l.scheme != nil {
			name = l.scheme.original(name)
		}
		for _, r := range renames {
			if strings.Contains(name, r.old) {
				return strings.Replace(name, r.old, r.new, 1)
			}
		}
		return name
	}
	f.Tensors = make(map[string]*tensor.Tensor, len(x.names))
	from := make(map[string]string, len(x.names))
	for _, n := range x.names {
		t, name := x.tensors[n], rename(n)
		if old, ok := from[name]; ok {
			return duplicate(t.Name, old, name)
		}
		from[name] = t.Name
		swap := len(t.Shape) >= 2 && strings.HasPrefix(name, "blocks.") && slices.Contains(l.swapped, lastPart(name))
		f.Tensors[name] = f.tensor(name, t, swap)
	}
	f.Unread = make(map[string]string, len(x.unread))
	for _, u := range x.unread {
		name := rename(unwrapped(u.name))
		if old, ok := from[name]; ok {
			return duplicate(u.name, old, name)
		}
		from[name] = u.name
		f.Unread[name] = u.typ
	}
	return f.checkFused(l)
}

func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// tensor returns t as the File presents it: under its original name, with vectors of shape [1, 1, C] as [C], the last
// two dimensions swapped if asked for, and closed when the file is.
func (f *File) tensor(name string, t *tensor.Tensor, swap bool) *tensor.Tensor {
	if swap {
		t = t.Transposed()
	}
	shape := slices.Clone(t.Shape)
	if len(shape) == 3 && shape[0] == 1 && shape[1] == 1 {
		shape = shape[2:]
	}
	hold := f.hold
	return t.Part(name, shape, func() ([]byte, error) { return hold.open(name, t.Load) })
}
