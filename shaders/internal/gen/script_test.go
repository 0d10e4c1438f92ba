package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// script runs the shader build on a tree and returns what it prints.
func script(t *testing.T, root string, defines ...string) (string, error) {
	t.Helper()
	args := append([]string{"-DROOT=" + root}, defines...)
	args = append(args, "-P", filepath.Join(reference.Root(t), "CMakeLists-shaders.txt"))
	out, err := exec.Command("cmake", args...).CombinedOutput()
	return strings.Join(strings.Fields(string(out)), " "), err // cmake wraps lines
}

// wantScript wants the build to end well or not, and to print something.
func wantScript(t *testing.T, ok bool, want, root string, defines ...string) {
	t.Helper()
	if out, err := script(t, root, defines...); (err == nil) != ok || !strings.Contains(out, want) {
		t.Errorf("%v: want success %v with %q, got %v:\n%s", defines, ok, want, err, out)
	}
}

// needTools skips the test where the compilers are absent, as they may be: only changing a shader wants them.
func needTools(t *testing.T) {
	t.Helper()
	if reference.Race {
		t.Skip("nothing to watch in other programs")
	}
	for _, tool := range []string{"cmake", "glslc", "spirv-opt", "spirv-val"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(tool + " is not installed")
		}
	}
}

// TestScript builds the test tree as a user would, step by step.
func TestScript(t *testing.T) {
	needTools(t)
	root := t.TempDir()
	copyTree(t, "testdata/tree", root)
	file := func(elem ...string) string { return filepath.Join(append([]string{root, "shaders"}, elem...)...) }
	edit := func(path, old, new string) {
		t.Helper()
		text, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(text), old) {
			t.Fatalf("%s: no %q: %v", path, old, err)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, new, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	if err := os.WriteFile(file("variants.txt"), []byte("row_dot f16 W_F16=1\nzero -\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantScript(t, true, "2 variants, 2 compiled", root)
	wantScript(t, true, "2 variants, 0 compiled", root)
	wantScript(t, true, "2 variants compile to the committed bytes", root, "-DCHECK=1")
	before, err := os.ReadFile(file("spv", "row_dot.f16.spv"))
	if err != nil {
		t.Fatal(err)
	}
	wantScript(t, true, "2 variants, 2 compiled", root, "-DFORCE=1")
	if after, err := os.ReadFile(file("spv", "row_dot.f16.spv")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("two builds differ: %v", err)
	}

	edit(file("zero.comp"), "= 0u", "= 1u")
	wantScript(t, false, "shaders/spv/zero.spv: not what its source compiles to", root, "-DCHECK=1")
	wantScript(t, true, "2 variants, 1 compiled", root)
	edit(file("lib", "load.glsl"), "// Weights", "// The weights")
	wantScript(t, true, "2 variants, 2 compiled", root)
	edit(file("spv", "VERSION"), "shaderc ", "shaderc 1")
	wantScript(t, true, "bytes not compared: committed by shaderc 1", root, "-DCHECK=1")
	edit(file("variants.txt"), "row_dot f16 W_F16=1\n", "")
	if err := os.Remove(file("row_dot.comp")); err != nil {
		t.Fatal(err)
	}
	wantScript(t, true, "1 variants, 0 compiled", root)
	if _, err := os.Stat(file("spv", "row_dot.f16.spv")); !os.IsNotExist(err) {
		t.Errorf("row_dot.f16.spv: want it deleted, got %v", err)
	}
	if _, err := os.Stat(file("spv", "zero.spv")); err != nil {
		t.Error(err)
	}

	edit(file("zero.comp"), "= 1u", "= nonsense")
	wantScript(t, false, "shaders/zero.comp:5: error: 'nonsense'", root)
	edit(file("variants.txt"), "zero -", "zero - # once\nzero - # again")
	wantScript(t, false, "zero stands twice", root)
	edit(file("variants.txt"), "zero - # once\nzero - # again", "none f32\nshort")
	wantScript(t, false, "shaders/zero.comp: stands in no line of shaders/variants.txt", root)
	wantScript(t, false, "none.f32: there is no shaders/none.comp", root)
	wantScript(t, false, "short: want SHADER VARIANT", root)
	wantScript(t, false, "apt install glslc spirv-tools", root, "-DGLSLC="+filepath.Join(root, "absent"))
	wantScript(t, false, "spirv-opt not found", root, "-DSPIRV_OPT="+filepath.Join(root, "absent"))
	wantScript(t, false, "spirv-val not found", root, "-DSPIRV_VAL="+filepath.Join(root, "absent"))
}

// TestTestTree wants the committed modules of the test tree to be those of its sources, where the compiler is the same.
func TestTestTree(t *testing.T) {
	needTools(t)
	root := t.TempDir()
	copyTree(t, "testdata/tree", root)
	wantScript(t, true, "4 variants compile", root, "-DCHECK=1")
	code, err := generate(tree{
		variants: filepath.Join(root, "shaders", "variants.txt"),
		reflect:  filepath.Join(root, ".cache", "shaders-check", "reflect"),
		spv:      filepath.Join(root, ".cache", "shaders-check", "spv"),
	})
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile("testdata/zbind.golden")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(code, golden) {
		t.Error("the sources' declarations are not those of testdata/zbind.golden")
	}
}
