package weights

import (
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// CheckFinite loads t and returns an Error that names the first element that is NaN or infinite, if there is one.
func CheckFinite(t *tensor.Tensor) error {
	err := t.Use(func(data []byte) error {
		i := t.Type.CheckFinite(data)
		if i < 0 {
			return nil
		}
		var bad [1]float32
		t.Type.Decode(bad[:], data[t.Type.Bytes(i):])
		return &Error{Tensor: t.Name, Field: "value", Want: "finite numbers", Got: fmt.Sprintf("%v at %v", bad[0], place(i, t.Shape))}
	})
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	}
	return &Error{Tensor: t.Name, Err: err}
}

// CheckFinite is the function of that name, with errors that name the file.
func (f *File) CheckFinite(t *tensor.Tensor) error {
	if err := CheckFinite(t); err != nil {
		return inFile(f.Path, err)
	}
	return nil
}

// place returns the coordinates of element i of an array of that shape.
func place(i int, shape []int) []int {
	at := make([]int, len(shape))
	for d := len(shape) - 1; d >= 0; d-- {
		at[d] = i % shape[d]
		i /= shape[d]
	}
	return at
}
