package sample

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// maxPenalty bounds penalties and biases so that no count can push a logit out of float32.
const maxPenalty = 1000

// Params says how tokens are drawn. The zero value is greedy without penalties; start from Default otherwise.
type Params struct {
	Temperature  float32         // >= 0; probabilities are raised to 1/Temperature after all filters; 0 is greedy
	TopP         float32         // [0, 1]; keeps the most likely ids that together reach TopP; 1 is off, 0 is greedy
	TopK         int             // >= 0; keeps the TopK most likely ids; 0 is off
	MinP         float32         // [0, 1]; keeps ids at least MinP times as likely as the most likely one; 0 is off
	Presence     float32         // [-1000, 1000]; subtracted from the logit of every id accepted so far
	Frequency    float32         // [-1000, 1000]; subtracted count times from the logit of every id accepted so far
	PenaltyDecay float32         // [0, 1]; factor on all counts after each token
	Seed         uint64          // key of the random numbers; the same seed gives the same ids
	Ban          []int           // ids that are never drawn
	Bias         map[int]float32 // [-1000, 1000]; added to the logits of these ids before all else
}

// Default returns the settings that the RWKV pip package generates with (temperature 1, top_p 0.85, decay 0.996), with
// the penalties off.
func Default() Params {
	return Params{Temperature: 1, TopP: 0.85, PenaltyDecay: 0.996}
}

// ParamError says that a field of Params is out of its range or not a number.
type ParamError struct {
	Name string // of the field as users know it: in lower case, its words joined by underscores
	Why  string // what was wanted and what was there
}

func (e *ParamError) Error() string { return "sample: " + e.Name + ": " + e.Why }

func paramErrorf(name, format string, args ...any) error {
	return &ParamError{Name: name, Why: fmt.Sprintf(format, args...)}
}

// Validate reports the first field that is out of its range or not a number, as a *ParamError. Ids in Ban and Bias are
// checked for sign only; New checks them against the vocabulary.
func (p Params) Validate() error {
	for _, f := range []struct {
		name   string
		value  float32
		lo, hi float32
		want   string
	}{
		{"temperature", p.Temperature, 0, math.MaxFloat32, "a finite value >= 0"},
		{"top_p", p.TopP, 0, 1, "a value in [0, 1]"},
		{"min_p", p.MinP, 0, 1, "a value in [0, 1]"},
		{"presence", p.Presence, -maxPenalty, maxPenalty, "a value in [-1000, 1000]"},
		{"frequency", p.Frequency, -maxPenalty, maxPenalty, "a value in [-1000, 1000]"},
		{"penalty_decay", p.PenaltyDecay, 0, 1, "a value in [0, 1]"},
	} {
		if !(f.value >= f.lo && f.value <= f.hi) { // NaN fails every comparison
			return paramErrorf(f.name, "want %s, got %v", f.want, f.value)
		}
	}
	if p.TopK < 0 {
		return paramErrorf("top_k", "want a value >= 0, got %d", p.TopK)
	}
	for i, id := range p.Ban {
		if id < 0 {
			return paramErrorf(fmt.Sprintf("ban[%d]", i), "want an id >= 0, got %d", id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(p.Bias)) { // in order, so that the error does not vary
		switch bias := p.Bias[id]; {
		case id < 0:
			return paramErrorf("bias", "want an id >= 0, got %d", id)
		case !(bias >= -maxPenalty && bias <= maxPenalty):
			return paramErrorf(fmt.Sprintf("bias of id %d", id), "want a value in [-1000, 1000], got %v", bias)
		}
	}
	return nil
}

// biases returns Bias in the order of its ids.
func (p Params) biases() (list []idBias) {
	for _, id := range slices.Sorted(maps.Keys(p.Bias)) {
		list = append(list, idBias{int32(id), p.Bias[id]})
	}
	return list
}

// idBias is what is added to the logit of an id.
type idBias struct {
	id   int32
	bias float32
}

// clone returns settings that share nothing with p.
func (p Params) clone() Params {
	p.Ban, p.Bias = slices.Clone(p.Ban), maps.Clone(p.Bias)
	return p
}

// Greedy reports whether the settings always take the most likely token.
func (p Params) Greedy() bool { return p.Temperature == 0 || p.TopP == 0 || p.TopK == 1 }
