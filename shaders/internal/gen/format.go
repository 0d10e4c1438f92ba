package main

import (
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// formats holds the texel formats of package gpu by the GLSL type that reads them. SPIR-V does not say which of them a
// shader expects: the first is taken where variants.txt names none.
var formats = map[string][]string{
	"textureBuffer":  {"rgba32f", "r32f"},
	"utextureBuffer": {"rgba32ui", "rg32ui", "r32ui"},
}

// format returns the format of a texel binding, and "" for a storage buffer.
func (v *variant) format(b spirv.Binding) string {
	if b.Kind != spirv.UniformTexel {
		return ""
	}
	if f, ok := v.Formats[b.Name]; ok {
		return f
	}
	return formats[b.Element][0]
}

// checkFormats wants every texel binding to have a format that its GLSL type reads, and every format given a binding.
func (v *variant) checkFormats() error {
	texel := map[string]bool{}
	for _, b := range v.Full.Bindings {
		if b.Kind != spirv.UniformTexel {
			continue
		}
		texel[b.Name] = true
		known := formats[b.Element]
		if known == nil {
			return v.errorf("binding %q: no texel format is known for %s", b.Name, b.Element)
		}
		if f := v.format(b); !slices.Contains(known, f) {
			return v.errorf("binding %q: want a format of %s (%s), got %q", b.Name, b.Element, strings.Join(known, ", "), f)
		}
	}
	for name := range v.Formats {
		if !texel[name] {
			return v.errorf("variants.txt: %q is given a format and is no texel binding", name)
		}
	}
	return nil
}
