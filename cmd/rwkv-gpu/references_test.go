package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/golden"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// referenceFile is a model file of the reference data and what the manifest says about it; 0 and nil where it does not.
type referenceFile struct {
	model, kind, path               string
	version                         string
	layers, embed, vocab, ffn, head int
	ranks                           map[string]int
	quantized                       bool
}

type referenceModel struct {
	Name, Version string
	Layers        int             `json:"n_layer"`
	Embed         int             `json:"n_embd"`
	Vocab         int             `json:"n_vocab"`
	FFN           int             `json:"n_ffn"`
	Head          int             `json:"head_size"`
	Ranks         json.RawMessage `json:"lora_ranks"` // by letter; of quantized models a list
	Files         map[string]struct{ Path string }
}

// rankNames are the manifest's names of RWKV-6's ranks.
var rankNames = map[string]string{"time_maa_w1/5": "mix", "time_decay_w1": "decay"}

func (m *referenceModel) file(kind, path string, quantized bool) referenceFile {
	f := referenceFile{model: m.Name, kind: kind, path: path, version: golden.VersionIn(m.Version, kind), layers: m.Layers, embed: m.Embed,
		vocab: m.Vocab, ffn: m.FFN, head: m.Head, quantized: quantized}
	var named map[string]int
	var list []int
	if json.Unmarshal(m.Ranks, &named) == nil {
		f.ranks = named
		for old, name := range rankNames {
			if r, ok := named[old]; ok {
				f.ranks[name] = r
				delete(f.ranks, old)
			}
		}
	} else if json.Unmarshal(m.Ranks, &list) == nil {
		f.ranks = map[string]int{"w": list[0], "a": list[1], "v": list[2], "g": list[3]}
	}
	return f
}

// referenceFiles lists every model file that the manifest has.
func referenceFiles(t *testing.T) (list []referenceFile) {
	t.Helper()
	data, err := os.ReadFile(reference.Shared(t, "vectors", "MANIFEST.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Models    []referenceModel
		Quantized []referenceModel `json:"quantized_rwkv_cpp"`
		Tiny      struct {
			Models []struct {
				Name  string
				Files map[string]struct {
					Path, Architecture string
					Header             struct {
						Vocab  int `json:"n_vocab"`
						Embed  int `json:"n_embed"`
						Layers int `json:"n_layer"`
					}
				}
			}
		} `json:"rwkv_cpp_tiny"`
		All []struct{ Path string } `json:"all_files"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for _, group := range [][]referenceModel{m.Models, m.Quantized} {
		for _, x := range group {
			for _, kind := range slices.Sorted(maps.Keys(x.Files)) {
				list = append(list, x.file(kind, x.Files[kind].Path, strings.HasPrefix(kind, "Q")))
			}
		}
	}
	for _, x := range m.Tiny.Models {
		for _, f := range m.All { // more than the model lists
			kind, ok := strings.CutPrefix(f.Path, "rwkv.cpp-tiny/tiny-rwkv-"+x.Name+"-")
			if !ok {
				continue
			}
			for _, known := range x.Files {
				h := known.Header
				list = append(list, referenceFile{model: x.Name, kind: strings.TrimSuffix(kind, ".bin"), path: f.Path, version: known.Architecture,
					vocab: h.Vocab, embed: h.Embed, layers: h.Layers, quantized: kind != "FP32.bin"})
				break
			}
		}
	}
	demos, err := filepath.Glob(reference.Shared(t, "vectors", "gguf-llama.cpp") + "/*.gguf")
	if err != nil {
		t.Fatal(err)
	}
	var demo modelInfo
	cliJSON(t, &demo, "info")
	for _, path := range demos {
		list = append(list, referenceFile{model: "demo", kind: filepath.Base(path), path: "gguf-llama.cpp/" + filepath.Base(path), version: demo.Version,
			layers: demo.Layers, embed: demo.Embedding, vocab: demo.Vocab, ffn: demo.FFN, head: demo.HeadSize, ranks: demo.Ranks, quantized: true})
	}
	if len(list) < 50 {
		t.Fatalf("only %d model files", len(list))
	}
	return list
}

// info prints of every reference model what the manifest says of it.
func TestInfoOfReferences(t *testing.T) {
	for _, f := range referenceFiles(t) {
		t.Run(f.model+"/"+f.kind, func(t *testing.T) {
			path := reference.Shared(t, "vectors", filepath.FromSlash(f.path))
			var got modelInfo
			r := cli("info", "--model", path, "--json", "--quiet")
			if r.status != statusDone {
				t.Fatal(r)
			}
			if err := json.Unmarshal([]byte(r.stdout), &got); err != nil {
				t.Fatal(err)
			}
			if got.Version != f.version {
				t.Errorf("version: want %s, got %s", f.version, got.Version)
			}
			for _, n := range []struct {
				what      string
				want, got int
			}{
				{"layers", f.layers, got.Layers}, {"embedding", f.embed, got.Embedding}, {"vocabulary", f.vocab, got.Vocab},
				{"ffn", f.ffn, got.FFN}, {"head size", f.head, got.HeadSize},
			} {
				if n.want != n.got && n.want != 0 {
					t.Errorf("%s: want %d, got %d", n.what, n.want, n.got)
				}
			}
			if f.ranks != nil && !maps.Equal(got.Ranks, f.ranks) {
				t.Errorf("ranks: want %v, got %v", f.ranks, got.Ranks)
			}
			if text := cli("info", "--model", path, "--quiet"); text.status != statusDone || !strings.Contains(text.stdout, "RWKV-"+strings.TrimPrefix(f.version, "v")) {
				t.Errorf("want RWKV-%s in the text, got %s", f.version, text)
			}
		})
	}
}

// generate runs on every reference model on the CPU, and on the GPU on the first of each version. All files of the same
// weights begin the same text. Models of fewer ids than there are bytes have no tokenizer, and continue ids.
func TestGenerateOnReferences(t *testing.T) {
	reference.Numbers(t)
	first := map[string][]int{}
	seen := map[string]bool{}
	for _, f := range referenceFiles(t) {
		devices := []string{"cpu"}
		if !seen[f.version] && !testing.Short() {
			devices = append(devices, "gpu")
		}
		seen[f.version] = true
		for _, device := range devices {
			t.Run(f.model+"/"+f.kind+"/"+device, func(t *testing.T) {
				if device == "gpu" {
					device = vulkanDevice(t)
				}
				path := reference.Shared(t, "vectors", filepath.FromSlash(f.path))
				args := []string{"--quiet", "--device", device, "--model", path}
				tokens := three(t, f, args)
				if want, ok := first[f.model]; ok && !slices.Equal(want, tokens) && !f.quantized {
					t.Errorf("want the tokens %v as from the model's other files, got %v", want, tokens)
				}
				if !f.quantized {
					first[f.model] = tokens
				}
			})
		}
	}
}

// three generates three tokens.
func three(t *testing.T, f referenceFile, args []string) []int {
	t.Helper()
	if f.vocab < 256 {
		wantError(t, cli(append(args, "generate", "ab", "-n", "3")...), statusInput, fmt.Sprintf("no vocabulary for the model's %d ids", f.vocab))
		args = append(args, "generate", "--tokens", "1,2")
	} else {
		args = append(args, "generate", "ab")
	}
	args = append(args, "-n", "3", "--temperature", "0", "--json")
	if f.vocab >= 256 && f.model != "demo" && f.vocab != 256 {
		args = append(args, "--vocab", writeFile(t, "vocab.txt", worldOf(f.vocab)))
	}
	r := cli(args...)
	var got generated
	if r.status != statusDone || r.stderr != "" {
		t.Fatal(r)
	}
	decode(t, r.stdout, &got)
	if (len(got.Tokens) != 3 && got.Finish != "end") || got.PromptTokens == 0 {
		t.Errorf("want 3 tokens after a prompt, got %+v", got)
	}
	return got.Tokens
}
