package shaders

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// validate has the validator look at a module, and skips the test where there is none or it is older than what the
// module needs.
func validate(t *testing.T, name string, code []byte, target, tooOld string) {
	t.Helper()
	tool, err := exec.LookPath("spirv-val")
	if err != nil {
		t.Skip("no spirv-val here")
	}
	path := filepath.Join(t.TempDir(), "module.spv")
	if err := os.WriteFile(path, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "--target-env", target, path).CombinedOutput()
	if err != nil && tooOld != "" && strings.Contains(string(out), tooOld) {
		t.Skip("spirv-val is older than what the module declares")
	}
	if err != nil {
		t.Errorf("%s: %v: %s", name, err, out)
	}
}

// What devices with cooperative matrices get is valid, and declares no older ones.
func TestKHRMatricesValid(t *testing.T) {
	for i := range matmulCoopModules {
		m := &matmulCoopModules[i]
		code, err := m.code(false)
		if err != nil {
			t.Fatal(err)
		}
		if declared := spirv.Declared(code); slices.Contains(declared, spirv.CooperativeMatrixNV) || !slices.Contains(declared, spirv.CooperativeMatrixKHR) {
			t.Errorf("%s: want the newer matrices, got %v", m.name, declared)
		}
		validate(t, m.name, code, "vulkan1.2", "Invalid capability operand: 6022")
	}
}

// What requires uniform control flow is valid, and otherwise what it was; what has no operations of subgroups stays as
// it is.
func TestUniformFlowValid(t *testing.T) {
	seen := 0
	for _, table := range modules {
		m := &table[0]
		got, err := m.code(true)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := m.code(false)
		if err != nil {
			t.Fatal(err)
		}
		declared := spirv.Declared(plain)
		uses := slices.ContainsFunc(declared, spirv.Capability.IsSubgroup)
		if slices.Equal(got, plain) == uses {
			t.Errorf("%s: operations of subgroups: %t, changed: %t", m.name, uses, !slices.Equal(got, plain))
		}
		if !uses || slices.Contains(declared, spirv.CooperativeMatrixKHR) {
			continue
		}
		seen++
		r, err := spirv.Parse(got)
		if err != nil {
			t.Fatalf("%s: %v", m.name, err)
		}
		for _, d := range differences(m, r) {
			t.Errorf("%s: %s", m.name, d)
		}
		validate(t, m.name, got, "vulkan1.1", "")
	}
	if seen == 0 {
		t.Error("no module has subgroup operations")
	}
}
