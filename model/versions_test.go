package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// allVersions are those that New accepts, with what a slot's state holds in each.
var allVersions = map[string][]string{
	"v4": {"att_x", "ffn_x", "att_aa", "att_bb", "att_pp"}, "v5.0": {"att_x", "ffn_x", "att_kv"},
	"v5.1": {"att_x", "ffn_x", "att_kv"}, "v5.2": {"att_x", "ffn_x", "att_kv"}, "v6": {"att_x", "ffn_x", "att_kv"},
	"v7": {"att_x", "ffn_x", "att_kv"}, "v7a": {"att_x", "ffn_x", "att_kv"},
	"v8-rc00": {"att_x", "ffn_x", "att_kv"},
}

// Every version is recognised by its tensors, uses all of them, and has its fields in each layer.
func TestVersions(t *testing.T) {
	names := strings.Split(Supported(), ", ")
	if len(names) != len(allVersions) {
		t.Errorf("%d versions are supported, %d tested", len(names), len(allVersions))
	}
	for version, fields := range allVersions {
		list := weightstest.RWKV(version, weightstest.Tiny, tensor.F32, 3)
		m, err := New(parse(t, list))
		if err != nil {
			t.Errorf("%s: %v", version, err)
			continue
		}
		n := 0
		for _, x := range list {
			n += x.Len()
		}
		if m.Version != version || len(m.Unused) > 0 || m.Parameters() != n || !slices.Contains(names, version) {
			t.Errorf("%s: got version %s, %d of %d parameters, unused %v", version, m.Version, m.Parameters(), n, m.Unused)
		}
		got := map[string]int{}
		for _, f := range m.Fields {
			got[f.Name]++
		}
		for _, f := range fields {
			if got[f] != m.Layers {
				t.Errorf("%s: %d fields %s, want one a layer", version, got[f], f)
			}
		}
		if len(got) != len(fields) {
			t.Errorf("%s: fields %v, want %v", version, got, fields)
		}
	}
}

// In every version, a tensor that is missing or has another shape is named, unless the file is of another version
// without it or the tensor may be missing.
func TestEveryTensorOfVersions(t *testing.T) {
	reference.Sequential(t)
	mayLack := []string{"att.time_state", "ffn.s_emb_x.weight"}
	for version := range allVersions {
		good := weightstest.RWKV(version, weightstest.Tiny, tensor.F32, 3)
		for i, x := range good {
			missing := slices.Delete(slices.Clone(good), i, i+1)
			v, err := detect(parse(t, missing))
			switch {
			case err != nil || v.name != version:
			case slices.ContainsFunc(mayLack, func(s string) bool { return strings.HasSuffix(x.Name, s) }):
				if _, err := New(parse(t, missing)); err != nil {
					t.Errorf("%s without %s: %v", version, x.Name, err)
				}
			default:
				_, err := New(parse(t, missing))
				var e *weights.Error
				// A bonus that is missing is asked for by its newer name.
				if !errors.As(err, &e) || e.Tensor != strings.Replace(x.Name, "time_first", "time_faaaa", 1) && e.Tensor != x.Name {
					t.Errorf("%s without %s: want an error about it, got %v", version, x.Name, err)
				}
			}
			list := slices.Clone(good)
			list[i] = weightstest.Ones(x.Name, 2, 3, 5, 7)
			tryNew(t, list, x.Name, "shape: want [")
		}
	}
}

// Sizes that do not fit each other are errors about the tensor that tells them.
func TestSizesOfVersions(t *testing.T) {
	for _, c := range []struct {
		version, at, want string
		spoil             map[string][]int // by the name in a layer
	}{
		{"v5.0", "blocks.0.att.time_decay", "heads that divide the width of 32", map[string][]int{"att.time_decay": {5}, "att.time_first": {5}}},
		{"v5.1", "blocks.0.att.time_decay", "a head size that is a multiple of 4, got 2", map[string][]int{"att.time_decay": {16}, "att.time_faaaa": {16}}},
		{"v5.2", "blocks.0.att.time_decay", "heads * head size = 32, got 2 * 12", map[string][]int{"att.time_decay": {2, 12}, "att.time_faaaa": {2, 12}}},
		{"v6", "blocks.0.att.time_faaaa", "heads * head size = 32, got 4 * 16", map[string][]int{"att.time_faaaa": {4, 16}, "att.time_state": {4, 16, 16}}},
		{"v6", "blocks.0.att.time_maa_w1", "want [32 60], 5 times the rank of time_maa_w2, got [32 59]", map[string][]int{"att.time_maa_w1": {32, 59}}},
		{"v6", "blocks.0.att.time_maa_w2", "want [5 R C=32], got [6 12 32]", map[string][]int{"att.time_maa_w2": {6, 12, 32}}},
		{"v6", "blocks.0.att.time_state", "want [H=2 N=16 N=16], got [2 16 8]", map[string][]int{"att.time_state": {2, 16, 8}}},
		{"v7a", "blocks.0.ffn.s_emb.weight", "rows of 15 * 8 elements, for s1 and s2, got 128", map[string][]int{"ffn.s1": {32, 15}}},
		{"v7a", "blocks.0.ffn.s2", "a multiple of 4, got 2", map[string][]int{"ffn.s1": {32, 64}, "ffn.s2": {2, 96}}},
	} {
		list := weightstest.RWKV(c.version, weightstest.Tiny, tensor.F32, 1)
		for l := range weightstest.Tiny.Layers {
			for part, shape := range c.spoil {
				name := fmt.Sprintf("blocks.%d.%s", l, part)
				list[weightstest.Index(t, list, name)] = weightstest.Ones(name, shape...)
			}
		}
		tryNew(t, list, c.at, c.want)
	}
}

// Only RWKV-5 takes another epsilon of the group norm.
func TestGroupNormEps(t *testing.T) {
	fives := []string{"v5.0", "v5.1", "v5.2"}
	for version := range allVersions {
		f := parse(t, weightstest.RWKV(version, weightstest.Tiny, tensor.F32, 3))
		m, err := NewWith(f, Options{GroupNormEps: 1e-5})
		var e *EpsError
		switch five := slices.Contains(fives, version); {
		case five && (err != nil || m.GroupNormEps != 1e-5):
			t.Errorf("%s: %v", version, err)
		case !five && (!errors.As(err, &e) || e.Version != version):
			t.Errorf("%s: want an error, got %v", version, err)
		}
	}
}

// A state-tuned model begins with its own state, whose matrices the file holds transposed.
func TestTunedState(t *testing.T) {
	list := weightstest.RWKV("v6", weightstest.Tiny, tensor.F16, 3)
	m, err := New(parse(t, list))
	if err != nil {
		t.Fatal(err)
	}
	initial, err := m.Program.InitialState()
	if err != nil {
		t.Fatal(err)
	}
	n := m.HeadSize
	for _, f := range m.Fields {
		got := initial[f.Off : f.Off+f.Len()]
		if f.Name != "att_kv" {
			if slices.ContainsFunc(got, func(v float32) bool { return v != 0 }) {
				t.Errorf("%s of layer %d is not zero", f.Name, f.Layer)
			}
			continue
		}
		x, err := list[weightstest.Index(t, list, fmt.Sprintf("blocks.%d.att.time_state", f.Layer))].Floats()
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			head, key, value := i/(n*n), i/n%n, i%n
			if want := x[(head*n+value)*n+key]; v != want {
				t.Fatalf("layer %d head %d key %d value %d: want %v, got %v", f.Layer, head, key, value, want, v)
			}
		}
	}
}
