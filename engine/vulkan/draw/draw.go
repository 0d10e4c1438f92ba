package draw

import (
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/shaders/glsl"
)

// MaxSteps is the most tokens of one sequence that one submission draws.
const MaxSteps = 32

// Draw is one sequence's share of a Decode.
type Draw struct {
	Slot    int
	Token   int // that continues the slot's state
	Sampler *sample.Sampler
	Ends    []int // ids that end the sequence; only the first MaxEnds count
	Once    bool  // the sequence takes part in the first step only
	OnHost  bool  // so, and the caller draws the token from Logits: the id that Decode returns means nothing
}

// Shape is what decides the commands of the draws of some steps.
type Shape struct {
	Seqs, Steps       int
	Masked, Penalised bool
	Biased            bool // reports whether a sequence has biases
	Late              bool // reports whether the draws' inputs are copied to the device after the first run of the program
	Logits            bool // reports whether the logits of the first step go to the host
}

// Error returns what is wrong with an id that Decode returned, or nil.
func Error(id uint32) error {
	switch {
	case id < glsl.DrawBad:
		return nil
	case id == glsl.DrawNone:
		return fmt.Errorf("vulkan: draw: the sequence had ended")
	case id == glsl.DrawEmpty:
		return &sample.LogitsError{ID: -1, Value: float32(math.Inf(-1))}
	}
	return &sample.LogitsError{ID: int(id - glsl.DrawBad), Value: float32(math.NaN())} // or +Inf
}

// MaxEnds is the number of ids that can end a sequence on the device.
const MaxEnds = len(glsl.Draw{}.End)
