package sample

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/golden.json anew, from the float64 oracle")

// goldenCase is what the oracle draws from the same logits again and again, accepting every id.
type goldenCase struct {
	Params Params    `json:"params"`
	Logits []float32 `json:"logits"`
	Probs  []float64 `json:"probs"` // before the first token
	IDs    []int     `json:"ids"`
}

func oracleCase(t *testing.T, p Params, logits []float32) goldenCase {
	t.Helper()
	c := goldenCase{Params: p, Logits: logits, Probs: oracle(p, logits, nil)}
	counts := map[int]float64{}
	for step := range 24 {
		probs := oracle(p, logits, counts)
		id, near := oracleDraw(probs, Random(p.Seed, uint64(step)))
		if p.Greedy() {
			id, near = slices.Index(probs, slices.Max(probs)), 1
		}
		if near < 1e-6 {
			t.Fatalf("%+v step %d: on an edge, choose another seed", p, step)
		}
		c.IDs = append(c.IDs, id)
		for other := range counts {
			counts[other] *= float64(p.PenaltyDecay)
		}
		counts[id]++
	}
	return c
}

func TestGolden(t *testing.T) {
	path := filepath.Join("testdata", "golden.json")
	if *update {
		var cases []goldenCase
		for i, p := range settings() {
			cases = append(cases, oracleCase(t, p, randomLogits(uint64(100+i), 12, 2)))
		}
		data, err := json.MarshalIndent(cases, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 20 {
		t.Fatalf("%s: want 20 cases, got %d", path, len(cases))
	}
	for n, c := range cases {
		s := newSampler(t, c.Params, len(c.Logits))
		probs, err := s.Distribution(c.Logits)
		if err != nil {
			t.Fatal(err)
		}
		for i := range probs {
			if math.Abs(float64(probs[i])-c.Probs[i]) > 1e-6 {
				t.Errorf("case %d: probability of %d: got %v, want %v", n, i, probs[i], c.Probs[i])
			}
		}
		var ids []int
		for range c.IDs {
			ids = append(ids, next(t, s, c.Logits))
		}
		if !slices.Equal(ids, c.IDs) {
			t.Errorf("case %d: got ids %v, want %v", n, ids, c.IDs)
		}
	}
}
