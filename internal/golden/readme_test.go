package golden

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// columns are those of the README's table of versions and files, and what stands there for the kinds of the manifest.
var columns = []string{".pth", ".safetensors", "web-rwkv .st", "rwkv.cpp .bin", "GGUF", "Hugging Face"}

var kindLabels = map[string][2]string{
	"pth_bf16": {".pth", "bf16"}, "pth_fp16": {".pth", "f16"}, "pth_fp32_strided": {".pth", "f32"}, "pth_bf16_legacy": {".pth", "legacy"},
	"st": {"web-rwkv .st", "f16"}, "bin_fp16": {"rwkv.cpp .bin", "f16"}, "bin_fp32": {"rwkv.cpp .bin", "f32"},
	"gguf_f16": {"GGUF", "f16"}, "gguf_bf16": {"GGUF", "bf16"}, "gguf_f32": {"GGUF", "f32"},
	"hf_bf16": {"Hugging Face", "bf16"}, "hf_bf16_sharded": {"Hugging Face", "sharded"},
}

// compared returns what the runners compare with other implementations, by version and column of the README's table,
// and the table's rows.
func compared(t *testing.T) (cells map[string]map[string]bool, rows map[string]bool) {
	cells, rows = map[string]map[string]bool{}, map[string]bool{}
	add := func(version, column, label string) {
		key := strings.TrimPrefix(version, "v") + " " + column
		if cells[key] == nil {
			cells[key] = map[string]bool{}
		}
		cells[key][strings.ToLower(label)] = true
	}
	for _, version := range Versions {
		rows[version] = true
		for _, m := range Models(t, version) {
			for kind, file := range m.Files {
				cell, ok := kindLabels[kind]
				if !ok {
					f, err := weights.Open(Path(t, file.Path))
					must(t, err)
					cell = [2]string{".safetensors", f.Tensors["emb.weight"].Type.String()}
					must(t, f.Close())
				}
				add(version, cell[0], cell[1])
			}
		}
	}
	for _, c := range fieldCases {
		if !slices.Contains(Versions, c.version) {
			add(strings.Replace(c.version, "-", " ", 1), kindLabels[c.kind][0], kindLabels[c.kind][1])
			rows[c.version] = true
		}
	}
	var cpp cppManifest
	readManifest(t, &cpp)
	for _, f := range cpp.files(false, func(string) bool { return true }) {
		model, typ := filepath.Split(f.name)
		version, _, _ := strings.Cut(model, "-")
		if short, ok := map[string]string{"4v0": "4", "5v1": "5.0", "5v2": "5.2", "6v0": "6", "7v0": "7"}[version]; ok { // rwkv.cpp's names
			version = short
		}
		add(version, "rwkv.cpp .bin", strings.Replace(typ, "FP", "f", 1))
	}
	for _, c := range readLlamaCpp(t).Cases {
		add("7", "GGUF", c.Type)
	}
	return cells, rows
}

// The README's table of versions and files says what is compared, no more and no less. An equals sign stands where
// there is no reference file, but syntheticFormats finds the same logits as from the version's other files; a dash
// where nobody writes such files.
func TestReadmeTable(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "README.md"))
	must(t, err)
	_, table, ok := strings.Cut(strings.ReplaceAll(string(data), "`", ""), "| version | "+strings.Join(columns, " | ")+" |\n")
	if !ok {
		t.Fatal("README.md has no table of versions and files")
	}
	want, versions := compared(t)
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if strings.HasPrefix(cells[0], "---") {
			continue
		}
		if len(cells) != len(columns)+1 {
			break
		}
		rows++
		for i, column := range columns {
			key := cells[0] + " " + column
			labels := want[key]
			text := cells[i+1]
			if len(labels) == 0 {
				synthetic := cells[0] == "7" || slices.Contains([]string{".pth", ".safetensors", "Hugging Face"}, column)
				if wanted := map[bool]string{true: "=", false: "–"}[synthetic]; text != wanted {
					t.Errorf("%s: want %q, got %q", key, wanted, text)
				}
				continue
			}
			got := map[string]bool{}
			for label := range strings.SplitSeq(text, ", ") {
				got[label] = true
			}
			if !maps.Equal(got, labels) {
				t.Errorf("%s: want %v, got %q", key, slices.Sorted(maps.Keys(labels)), text)
			}
		}
	}
	if rows != len(versions) {
		t.Errorf("want a row for each of %v, got %d", slices.Sorted(maps.Keys(versions)), rows)
	}
}
