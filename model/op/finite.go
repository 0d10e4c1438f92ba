package op

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// NotFiniteError reports a weight element that is NaN or infinite.
type NotFiniteError struct {
	Tensor string
	Index  int // of the element, row-major
}

func (e *NotFiniteError) Error() string {
	return fmt.Sprintf("tensor %s: element %d: want a finite number, got NaN or infinity", e.Tensor, e.Index)
}

// Finite returns t with a Load that fails with a NotFiniteError if an element is NaN or infinite. The error names the
// element by its place in t. A reader of a transposed t, or of a part of t, would not know that place.
func Finite(t *tensor.Tensor) *tensor.Tensor {
	return t.Part(t.Name, t.Shape, func() (all []byte, err error) {
		err = t.Use(func(data []byte) error {
			all = data
			if i := t.Type.CheckFinite(data); i >= 0 {
				return &NotFiniteError{Tensor: t.Name, Index: i}
			}
			return nil
		})
		return all, err
	})
}
