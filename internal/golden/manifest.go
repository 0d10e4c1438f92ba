// Package golden runs whole models on an executor and compares logits and states with those of the original
// implementation, which lie in the reference data.
package golden

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

type manifest struct {
	Models []Model `json:"models"`
}

// Model is a reference model in several files.
type Model struct {
	Name    string                           `json:"name"`
	Version string                           `json:"version"`
	Files   map[string]struct{ Path string } `json:"files"`
	Runs    map[string]Case                  `json:"runs"`
}

// recognised holds, by kind of file, versions that are recognised as another one there. web-rwkv's converter repeats
// the decay of 5.1 for each channel, which makes it a 5.2 with the same results.
var recognised = map[string]map[string]string{"st": {"v5.1": "v5.2"}}

// VersionIn returns the version that a file of a kind, of a model of a version, is recognised as.
func VersionIn(version, kind string) string { return cmp.Or(recognised[kind][version], version) }

// VersionIn returns the version that a file of a kind is recognised as.
func (m *Model) VersionIn(kind string) string { return VersionIn(m.Version, kind) }

// Case is a prompt with what the original implementation made of it.
type Case struct {
	Tokens   []int  `json:"tokens"`
	Expected string `json:"expected"`
	At       []int  `json:"logits_at_positions"`
	// OtherEps holds, for RWKV-5, what to expect with rwkv.cpp's epsilon of the group norm.
	OtherEps  map[string]any `json:"gn_eps_1e-5"`
	Tolerance struct {
		CPU   float64                    `json:"f32_cpu"`
		GPU   float64                    `json:"f32_gpu"`
		State struct{ Abs, Rel float64 } `json:"state_f32"`
	} `json:"tolerance"`
}

// Models returns the reference models of a version, or skips the test.
func Models(tb testing.TB, version string) []Model {
	tb.Helper()
	var m manifest
	readManifest(tb, &m)
	var list []Model
	for _, x := range m.Models {
		if x.Version == version {
			list = append(list, x)
		}
	}
	if len(list) == 0 {
		tb.Fatalf("no reference model of version %s", version)
	}
	return list
}

// readManifest reads what v has of the reference data's manifest, or skips the test.
func readManifest(tb testing.TB, v any) {
	tb.Helper()
	data, err := os.ReadFile(reference.Shared(tb, "vectors", "MANIFEST.json"))
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		tb.Fatal(err)
	}
}

// Path returns the full path of a file that the manifest names.
func Path(tb testing.TB, path string) string {
	return reference.Shared(tb, "vectors", filepath.FromSlash(path))
}

// Expect returns the expected tensors of a run, with the original's epsilon of the group norm or the other one.
func (r *Case) Expect(tb testing.TB, otherEps bool) map[string][]float32 {
	tb.Helper()
	path := r.Expected
	if otherEps {
		path, _ = r.OtherEps["expected"].(string)
	}
	f, err := weights.Open(Path(tb, path))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	m := make(map[string][]float32)
	for name, t := range f.Tensors {
		if m[name], err = t.Floats(); err != nil {
			tb.Fatal(err)
		}
	}
	return m
}
