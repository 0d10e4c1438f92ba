package golden

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
)

// elsewhere are reference files that tests of other packages read, and the test that does; or that are to be read by
// people.
var elsewhere = map[string]string{
	"tokenizer/world_vectors.json":       "tokenizer/world_test.go",
	"tokenizer/20b_vectors.json":         "tokenizer/bpe_test.go",
	"../vocab/rwkv_vocab_v20230424.txt":  "tokenizer/world_test.go",
	"sampling/sampling.json":             "engine/sample/vectors_test.go",
	"sampling/sampling.safetensors":      "engine/sample/vectors_test.go",
	"MANIFEST.json":                      "internal/golden/coverage_test.go",
	"gguf-llama.cpp/MANIFEST.json":       "internal/golden/llamacpp.go",
	"README.md":                          "",
	"FORMATS.md":                         "",
	"tokenizer/LICENSE.ChatRWKV.txt":     "",
	"rwkv.cpp-tiny/LICENSE.rwkv.cpp.txt": "",
}

// runners are the functions that compare what claimed lists.
var runners = []string{"golden.Run(", "golden.RunRWKVCpp(", "golden.RunLlamaCpp(", "golden.RunBig(", "golden.RunField("}

// referenceRunners are those that only engine/reference's tests need to call.
var referenceRunners = []string{"golden.RunRWKVCppRule("}

// claimed returns the reference files that the runners compare, and directories of them with a slash at the end.
func claimed(t *testing.T) map[string]bool {
	all := map[string]bool{path.Join(bigDir, bigSpec): true, path.Join(bigDir, bigExpected): true}
	for _, version := range Versions {
		for _, m := range Models(t, version) {
			for _, kind := range Kinds {
				p := m.Files[kind].Path
				all[p], all[p+"/"] = true, true
			}
			for _, r := range m.Runs {
				all[r.Expected] = true
				other, _ := r.OtherEps["expected"].(string)
				all[other] = true
			}
		}
	}
	var cpp cppManifest
	readManifest(t, &cpp)
	for _, f := range cpp.files(false, func(string) bool { return true }) {
		all[f.path], all[f.expected] = true, true
	}
	for i := range cpp.Tiny.Models {
		all[cpp.Tiny.Models[i].Expected] = true
	}
	llama := readLlamaCpp(t)
	for _, c := range llama.Cases {
		all[path.Join(llamaDir, c.File)] = true
		for _, f := range c.Expected {
			all[path.Join(llamaDir, f)] = true
		}
	}
	return all
}

// Every file of the reference data is one that a test compares with, and the one that the manifest knows.
func TestNothingUntested(t *testing.T) {
	var m struct {
		Files []struct {
			Path, SHA256 string
			Bytes        int
		} `json:"all_files"`
	}
	readManifest(t, &m)
	claims := claimed(t)
	tested := func(p string) bool {
		_, other := elsewhere[p]
		return other || claims[p] || claims[path.Dir(p)+"/"]
	}
	for _, f := range m.Files {
		if !tested(f.Path) {
			t.Errorf("%s: no test compares it", f.Path)
		}
		if test, ok := elsewhere[f.Path]; ok && test == "" {
			continue // text, which may be edited
		}
		data, err := os.ReadFile(Path(t, f.Path))
		must(t, err)
		if got := fmt.Sprintf("%x", sha256.Sum256(data)); len(data) != f.Bytes || got != f.SHA256 {
			t.Errorf("%s: want %d bytes of SHA-256 %s, got %d of %s", f.Path, f.Bytes, f.SHA256, len(data), got)
		}
	}
	if len(m.Files) < 100 {
		t.Errorf("the manifest lists only %d files", len(m.Files))
	}
	root := reference.Shared(t, "vectors")
	must(t, filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, p)
		if name = filepath.ToSlash(name); err == nil && !tested(name) {
			t.Errorf("%s: no test compares it", name)
		}
		return err
	}))
}

// Every version that is supported has a random model, on which the executors keep all properties.
func TestEveryVersionIsMadeUp(t *testing.T) {
	for version := range strings.SplitSeq(model.Supported(), ", ") {
		if !slices.ContainsFunc(synthetics, func(s synthetic) bool { return s.version == version }) {
			t.Errorf("synthetics have no model of %s", version)
		}
	}
}

// Both executors' tests run all of it, and the tests that elsewhere names do name the files.
func TestClaimsHold(t *testing.T) {
	source := func(file string) string {
		data, err := os.ReadFile(filepath.Join(reference.Root(t), filepath.FromSlash(file)))
		must(t, err)
		return string(data)
	}
	for _, dir := range []string{"engine/cpu", "engine/reference", "engine/vulkan"} {
		files, err := filepath.Glob(filepath.Join(reference.Root(t), filepath.FromSlash(dir), "*_test.go"))
		must(t, err)
		text := ""
		for _, file := range files {
			text += source(path.Join(dir, filepath.Base(file)))
		}
		calls := runners
		if dir == "engine/reference" {
			calls = slices.Concat(runners, referenceRunners)
		}
		for _, call := range calls {
			if !strings.Contains(text, call) {
				t.Errorf("no test in %s calls %s)", dir, call)
			}
		}
	}
	for f, test := range elsewhere {
		if test != "" && !strings.Contains(source(test), path.Base(f)) {
			t.Errorf("%s does not name %s", test, f)
		}
	}
}
