package op

import (
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// chain is a program that embeds, shifts, multiplies and gives logits.
func chain(b *parts) (*Program, error) {
	x, y := b.row(12), b.row(12)
	state, last := b.slots(16), b.seq(16)
	out, logits := b.out(12), b.Scratch("logits", Out, 11)
	b.Emit(-1, "emb", &Embed{Table: b.w(11, 12), NormW: b.w(12), NormB: b.w(12), Y: x})
	b.Emit(0, "mix", &ShiftMix{X: x, NormW: b.w(12), NormB: b.w(12), Mix: []*Operand{b.w(12)}, State: state, Last: last,
		Y: b.Scratch("mixed", Row, 16)})
	b.Emit(0, "mul", &MatMul{Parts: []Part{{W: b.w(12, 12), X: x.All(), Y: y.All(), Act: Tanh}}})
	b.Emit(0, "add", &MatMul{Parts: []Part{{W: b.w(12, 12), X: y.All(), Y: x.All(), Combine: Add, From: x.All()}}})
	b.Emit(-1, "commit", &ShiftCommit{Last: last, State: state})
	b.Emit(-1, "norm", &LayerNorm{X: x, NormW: b.w(12), NormB: b.w(12), Y: out})
	b.Emit(-1, "head", &MatMul{Parts: []Part{{W: b.w(11, 12), X: out.All(), Y: logits.All()}}})
	return b.Program(logits, 11)
}

// Leaving out any step that writes scratch is found at the step that reads it; state and weights need no writer.
func TestProgramFindsReadsOfNothing(t *testing.T) {
	if _, err := chain(new(parts)); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{
		"mix: op reads X (row), which nothing wrote", "commit: op reads Last (seq), which nothing wrote",
		"add: op reads X (row), which nothing wrote", "", "", "head: op reads X (out), which nothing wrote", "",
	} {
		prog, err := chain(new(parts))
		if err != nil {
			t.Fatal(err)
		}
		left := *prog
		left.Steps = append(append([]Step(nil), prog.Steps[:i]...), prog.Steps[i+1:]...)
		err = left.Check()
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("without %s: want %q, got %v", prog.Steps[i].Name, want, err)
		}
	}
}

// What the caller writes needs no step that writes it, and what the caller reads does.
func TestProgramChecksInputsAndOutputs(t *testing.T) {
	prog, err := chain(new(parts))
	if err != nil {
		t.Fatal(err)
	}
	x, unused := prog.Of(Row)[0], &Operand{Name: "unused", Kind: Row, Width: 4, ID: len(prog.Operands)}
	part := *prog
	part.Steps, part.Inputs, part.Outputs = prog.Steps[1:], []*Operand{x}, []*Operand{x}
	if err := part.Check(); err != nil {
		t.Errorf("with an input: %v", err)
	}
	part.Operands, part.Outputs = append(slices.Clone(prog.Operands), unused), []*Operand{x, unused}
	if err := part.Check(); err == nil || err.Error() != "op: output unused row[4]: nothing wrote it" {
		t.Errorf("with an output that no step writes: %v", err)
	}
}

// A reader before its writer is found, an op that fails its own check is named by its step, and so is a wrong ID.
func TestProgramCheck(t *testing.T) {
	prog, err := chain(new(parts))
	if err != nil {
		t.Fatal(err)
	}
	s := prog.Steps
	s[0], s[1] = s[1], s[0]
	if err := prog.Check(); err == nil || !strings.HasPrefix(err.Error(), "mix: op reads X") {
		t.Errorf("steps in the wrong order: %v", err)
	}
	s[0], s[1] = s[1], s[0]
	s[0].Op.(*Embed).NormW = nil
	if err := prog.Check(); err == nil || !strings.HasPrefix(err.Error(), "emb: op Embed: NormW: want") {
		t.Errorf("a step that is wrong: %v", err)
	}
	prog.Operands[2].ID = 3
	if err := prog.Check(); err == nil || !strings.Contains(err.Error(), "want ID 2, got 3") {
		t.Errorf("a wrong ID: %v", err)
	}
}

// What prints is readable.
func TestStrings(t *testing.T) {
	var b parts
	o := b.row(20)
	for want, got := range map[string]string{
		"row row[20]": o.String(),
		"row":         o.All().String(),
		"row[8:12]":   o.Slice(8, 4).String(),
		"-":           View{}.String(),
		"w F32[3 4]":  b.w(3, 4).String(),
		"Kind(0)":     Kind(0).String(),
		"state":       State.String(),
		"Act(9)":      Act(9).String(),
		"relu2":       ReLU2.String(),
		"Combine(9)":  Combine(9).String(),
		"lerp":        Lerp.String(),
		"tensor a: element 7: want a finite number, got NaN or infinity": (&NotFiniteError{"a", 7}).Error(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Stride is the next multiple of Pad, and a state's length the sum of its widths.
func TestLengths(t *testing.T) {
	for width, want := range map[int]int{0: 0, 1: 8, 8: 8, 9: 16, 64: 64, 65: 72} {
		if got := Stride(width); got != want {
			t.Errorf("Stride(%d) = %d, want %d", width, got, want)
		}
	}
	var b Builder
	b.State("a", 5, 0)
	b.Weight(tensor.FromFloats("w", []int{3}, make([]float32, 3)), 3)
	b.State("b", 7, 0)
	if got := b.Unchecked().StateLen(); got != 12 {
		t.Errorf("StateLen %d, want 12", got)
	}
}
