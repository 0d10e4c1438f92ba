package sample

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// readTensors reads the float32 tensors of a safetensors file.
func readTensors(t *testing.T, path string) map[string][]float32 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Dtype   string `json:"dtype"`
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+size], &header); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	data = data[8+size:]
	tensors := map[string][]float32{}
	for name, h := range header {
		if h.Dtype != "F32" {
			t.Fatalf("%s: %s: want F32, got %s", path, name, h.Dtype)
		}
		values := make([]float32, (h.Offsets[1]-h.Offsets[0])/4)
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[h.Offsets[0]+4*i:]))
		}
		tensors[name] = values
	}
	return tensors
}

type vectors struct {
	Meta struct {
		Tolerance float64 `json:"tolerance_abs"`
	} `json:"meta"`
	Cases []struct {
		Logits, Probs string
		Temperature   float32
		TopP          float32 `json:"top_p"`
		TopK          int     `json:"top_k"`
		Kept, Argmax  int
		Margin        *float64 `json:"top_p_boundary_margin"`
		Tie           bool     `json:"top_k_tie_at_boundary"`
	}
	Penalty struct {
		Frequency float32 `json:"alpha_frequency"`
		Presence  float32 `json:"alpha_presence"`
		Decay     float32 `json:"alpha_decay"`
		Logits    []float32
		Steps     []struct {
			Token      int
			Weight     float32             `json:"token_weight"`
			Logits     []float32           `json:"logits_after_penalty"`
			Occurrence map[string]*float64 `json:"occurrence"`
		}
	}
}

func readVectors(t *testing.T) (v vectors) {
	t.Helper()
	data, err := os.ReadFile(reference.Shared(t, "vectors", "sampling", "sampling.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Cases) == 0 || len(v.Penalty.Steps) == 0 || v.Meta.Tolerance == 0 {
		t.Fatal("sampling.json: cases, penalty steps and tolerance wanted")
	}
	return v
}

// Distribution is compared with the original RWKV sampler's probabilities.
func TestReferenceDistributions(t *testing.T) {
	v := readVectors(t)
	tensors := readTensors(t, reference.Shared(t, "vectors", "sampling", "sampling.safetensors"))
	for _, c := range v.Cases {
		logits, want := tensors[c.Logits], tensors[c.Probs]
		s, err := New(Params{Temperature: c.Temperature, TopP: c.TopP, TopK: c.TopK}, NewVocabulary(len(logits), nil))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Distribution(logits)
		if err != nil {
			t.Fatalf("%s: %v", c.Probs, err)
		}
		// With top_p = 1 the reference cuts where its float32 sum stops growing: ids it drops beyond that are too unlikely
		// to move it, and are not counted.
		kept, best, tail := 0, 0, 0.0
		for i := range got {
			switch {
			case got[i] > 0 && c.TopP == 1 && want[i] == 0 && !c.Tie:
				tail += float64(got[i])
			case got[i] > 0:
				kept++
			}
			if got[i] > got[best] {
				best = i
			}
		}
		if tail > v.Meta.Tolerance {
			t.Errorf("%s: ids that the reference drops have probability %g", c.Probs, tail)
		}
		if (c.Margin == nil || *c.Margin >= 1e-5) && kept != c.Kept {
			t.Errorf("%s: kept %d, want %d", c.Probs, kept, c.Kept)
		}
		if c.Tie {
			if want[best] != 0 && best != c.Argmax || logits[best] != logits[c.Argmax] {
				t.Errorf("%s: best id %d, want one of the tie with %d", c.Probs, best, c.Argmax)
			}
			continue
		}
		if best != c.Argmax {
			t.Errorf("%s: best id %d, want %d", c.Probs, best, c.Argmax)
		}
		for i := range got {
			if math.Abs(float64(got[i]-want[i])) > v.Meta.Tolerance {
				t.Errorf("%s[%d]: got %v, want %v", c.Probs, i, got[i], want[i])
				break
			}
		}
	}
}

func TestReferencePenalties(t *testing.T) {
	p := readVectors(t).Penalty
	s, err := New(Params{Temperature: 1, TopP: 1, Presence: p.Presence, Frequency: p.Frequency, PenaltyDecay: p.Decay},
		NewVocabulary(len(p.Logits), nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range p.Steps {
		var w workspace
		if _, err := s.adjust(&w, p.Logits); err != nil {
			t.Fatal(err)
		}
		for id, want := range step.Logits {
			if got := w.values[id]; math.Abs(float64(got-want)) > 1e-6 {
				t.Errorf("step %d: logit %d: got %v, want %v", i, id, got, want)
			}
		}
		if len(step.Occurrence) != len(s.past.accepted) {
			t.Errorf("step %d: %d ids accepted, want %d", i, len(s.past.accepted), len(step.Occurrence))
		}
		for name, want := range step.Occurrence {
			var id int
			if _, err := fmt.Sscan(name, &id); err != nil {
				t.Fatal(err)
			}
			if got, ok := s.Count(id); !ok || math.Abs(float64(got)-*want) > 1e-6 {
				t.Errorf("step %d: count of %d: got %v (%v), want %v", i, id, got, ok, *want)
			}
		}
		s.ids = NewVocabulary(len(p.Logits), freeIDs(func(id int) bool { return step.Weight == 0 })) // which the vectors change on the way
		if err := s.Accept(step.Token); err != nil {
			t.Fatal(err)
		}
	}
}
