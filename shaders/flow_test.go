package shaders

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/shaders/internal/spirv"
)

// What requires uniform control flow is a valid module, with one extension and one execution mode more, and otherwise the same.
func TestUniformFlow(t *testing.T) {
	val, err := exec.LookPath("spirv-val")
	if err != nil {
		t.Skip("no spirv-val here")
	}
	seen := 0
	for _, table := range modules {
		m := &table[0]
		if !slices.ContainsFunc(m.capabilities, isSubgroup) {
			continue
		}
		seen++
		got := uniformFlow(m.spirv)
		if more := len(got) - len(m.spirv); more != 4*(1+len(literal(extensionUniformFlow)))+12 || !bytes.Contains(got, []byte(extensionUniformFlow)) {
			t.Errorf("%s: %d bytes more", m.name, more)
		}
		r, err := spirv.Parse(got)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		for _, d := range differences(m, r) {
			t.Errorf("%s: %s", m.name, d)
		}
		path := filepath.Join(t.TempDir(), "module.spv")
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(val, "--target-env", "vulkan1.1", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", m.name, err, out)
		}
	}
	if seen == 0 {
		t.Error("no module has subgroup operations")
	}
}
