package op

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Kind says how often an operand exists and who owns its memory.
type Kind uint8

// The kinds of operand. The zero value is none of them.
const (
	Weight Kind = iota + 1 // one for the model, read-only
	Row                    // scratch: a vector for each row (token) of the batch
	Seq                    // scratch: a vector for each sequence of the batch
	Out                    // scratch: a vector for each row whose logits are wanted
	State                  // a vector for each slot, kept between batches
)

var kindNames = [...]string{Weight: "weight", Row: "row", Seq: "seq", Out: "out", State: "state"}

// String returns the kind's name.
func (k Kind) String() string {
	if k >= Weight && k <= State {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Pad is the multiple, in elements, to which every vector in scratch memory and every matrix row on a device is padded.
// So a kernel may read a vector in loads of 8 elements, up to Stride(Width). Padding is finite and meets only zero
// weights.
const Pad = 8

// Stride returns the distance in elements between vectors of the given width.
func Stride(width int) int { return (width + Pad - 1) / Pad * Pad }

// Operand is something an op reads or writes. All but weights are float32.
type Operand struct {
	Name  string
	Kind  Kind
	Width int // elements of one vector; of a weight, all of them
	ID    int // index in Program.Operands

	// For weights only.
	Shape  []int // [out, in] for a matrix
	Source *tensor.Tensor
	// For State only: the value of all elements of a fresh slot, unless InitialValues has one for each.
	Initial       float32
	InitialValues *tensor.Tensor
}

// Stride returns the distance in elements between the operand's vectors.
func (o *Operand) Stride() int { return Stride(o.Width) }

// All returns the view of o's whole vector.
func (o *Operand) All() View { return View{Of: o, Len: o.Width} }

// Slice returns the view of n elements from element off.
func (o *Operand) Slice(off, n int) View { return View{Of: o, Off: off, Len: n} }

// String returns the operand's name, kind and size.
func (o *Operand) String() string {
	if o.Kind == Weight {
		return fmt.Sprintf("%s %s%v", o.Name, o.Source.Type, o.Shape)
	}
	return fmt.Sprintf("%s %s[%d]", o.Name, o.Kind, o.Width)
}

// View is a part of every vector of an operand.
type View struct {
	Of  *Operand
	Off int // elements
	Len int // elements
}

// overlaps reports whether v and w share an element.
func (v View) overlaps(w View) bool {
	return v.Of == w.Of && v.Off < w.Off+w.Len && w.Off < v.Off+v.Len
}

// String returns the operand's name, with the part that is viewed if it is not the whole.
func (v View) String() string {
	switch {
	case v.Of == nil:
		return "-"
	case v.Off == 0 && v.Len == v.Of.Width:
		return v.Of.Name
	}
	return fmt.Sprintf("%s[%d:%d]", v.Of.Name, v.Off, v.Off+v.Len)
}
