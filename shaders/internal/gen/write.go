package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"go/format"
	"strings"
	"text/template"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

//go:embed zbind.tmpl
var zbind string

var layout = template.Must(template.New("zbind.go").Funcs(template.FuncMap{
	"exported":   exported,
	"unexported": unexported,
	"constName":  constName,
	"goType":     goType,
	"bits":       bits,
	"face":       func(s *shader) *spirv.Module { return s.Variants[0].Full },
	"kind":       func(k spirv.Kind) string { return [...]string{"StorageBuffer", "UniformTexel"}[k] },
	"access":     func(a spirv.Access) string { return [...]string{"", "Read", "Write", "ReadWrite"}[a] },
	"format":     func(v *variant, b spirv.Binding) string { return strings.ToUpper(v.format(b)) },
	"elements":   elements,
}).Parse(zbind))

// write returns the Go source for the shaders.
func write(shaders []*shader) ([]byte, error) {
	var b bytes.Buffer
	if err := layout.Execute(&b, shaders); err != nil {
		return nil, err
	}
	code, err := format.Source(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("zbind.go: %w", err)
	}
	return code, nil
}

// elements says what a binding holds: "uvec4", or where variants differ "uvec4 (f16), utextureBuffer of rgba32ui
// (f16_tx)".
func elements(s *shader, number int) string {
	var order []string
	users := map[string][]string{}
	for _, v := range s.Variants {
		b := v.Full.Bindings[number]
		e := b.Element
		if f := v.format(b); f != "" {
			e += " of " + f
		}
		if users[e] == nil {
			order = append(order, e)
		}
		users[e] = append(users[e], v.Name)
	}
	if len(order) == 1 {
		return order[0]
	}
	for i, e := range order {
		order[i] = e + " (" + strings.Join(users[e], ", ") + ")"
	}
	return strings.Join(order, ", ")
}
