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

// Export is a model as another file would hold it.
type Export struct {
	*weights.Output
	Notices []string // what is different from the model it came from
	source  string   // the model's file
}

func (e *Export) noticef(format string, args ...any) {
	e.Notices = append(e.Notices, fmt.Sprintf(format, args...))
}

// Save writes the file; see weights.Save. Errors about what the model holds name its file.
func (e *Export) Save(path string, force bool, progress func(done, all int64) error) error {
	err := weights.Save(path, force, func(w io.Writer) error { return e.Write(w, progress) })
	var at *weights.Error
	if errors.As(err, &at) && at.File == "" {
		at.File = e.source
	}
	return err
}

// Types returns typ for each tensor of m, by its name in the file; none for a typ of 0, which keeps types.
func Types(m *model.Model, typ tensor.Type) map[string]tensor.Type {
	types := make(map[string]tensor.Type)
	for name := range m.File.Tensors {
		if typ != 0 {
			types[name] = typ
		}
	}
	return types
}

// QuantTypes returns the types of the tensors of a file that holds m quantized to typ: those of Model.QuantTypes for a
// type of blocks, typ for all tensors else. A file that would hold no blocks though typ is one is a *weights.Error.
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
