package weights_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// Files of shared/field that hold the numbers of another file there under other names are read as that one.
func TestSharedFieldNames(t *testing.T) {
	field := func(elem ...string) string { return reference.Shared(t, append([]string{"field"}, elem...)...) }
	equalValues(t, open(t, field("norm-eps-ignored")), open(t, field("fla-fused-x_x")))

	wrapped, plain := open(t, field("wrapper-prefixes", "forward_module.pth")), open(t, field("unused-tensors-silent", "v7-unmerged-lora.ckpt"))
	names := slices.DeleteFunc(plain.Names(), func(n string) bool { return strings.Contains(n, ".lora_") })
	if !slices.Equal(wrapped.Names(), names) {
		t.Fatalf("names: want %v, got %v", names, wrapped.Names())
	}
	for _, n := range names {
		want := floats(t, plain.Tensors[n])
		for i, x := range want {
			want[i] = wrapped.Tensors[n].Type.Round(x)
		}
		if !slices.Equal(floats(t, wrapped.Tensors[n]), want) {
			t.Errorf("%s: other numbers", n)
		}
	}
}
