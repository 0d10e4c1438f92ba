package convert

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Export is a model in the form of another file.
type Export struct {
	*weights.Output
	Notices []string // what differs from the model
	source  string   // the model's file
}

func (e *Export) noticef(format string, args ...any) {
	e.Notices = append(e.Notices, fmt.Sprintf(format, args...))
}

// Save writes the file; see weights.Save. An error of the model's own data names the model's file.
func (e *Export) Save(path string, force bool, progress func(done, all int64) error) error {
	err := weights.Save(path, force, func(w io.Writer) error { return e.Write(w, progress) })
	var at *weights.Error
	if errors.As(err, &at) && at.File == "" {
		at.File = e.source
	}
	return err
}

// Types returns typ for each tensor of m, by its name in the file. If typ is 0, which keeps all types, it returns none.
func Types(m *model.Model, typ tensor.Type) map[string]tensor.Type {
	types := make(map[string]tensor.Type)
	for name := range m.File.Tensors {
		if typ != 0 {
			types[name] = typ
		}
	}
	return types
}

// QuantTypes returns the types of the tensors of a file with m quantized to typ. If typ is a block type, they are those
// of Model.QuantTypes, else typ for all tensors. If typ is a block type and no tensor could take it, the error is a
// *weights.Error.
func QuantTypes(m *model.Model, typ tensor.Type) (map[string]tensor.Type, error) {
	if !typ.IsBlock() {
		return Types(m, typ), nil
	}
	types := m.QuantTypes(typ)
	if !slices.ContainsFunc(m.File.Names(), func(n string) bool { return types[n] != 0 || m.File.Tensors[n].Type.IsBlock() }) {
		return nil, &weights.Error{File: m.File.Path, Field: "shape", Got: "none",
			Want: fmt.Sprintf("a product whose rows are whole blocks of %s, or of a type that stands in for it", typ)}
	}
	return types, nil
}
