package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// maxPushBytes is what every Vulkan device grants (maxPushConstantsSize, Vulkan 1.1 required limits).
const maxPushBytes = 128

// module is what a compiled form declares: full as its source says it, lean as the optimiser left it.
type module struct {
	Full, Lean *spirv.Module
}

// load reads both modules of every variant.
func (s *shader) load(from tree) error {
	var all []error
	read := func(v *variant, folder string) *spirv.Module {
		m, err := parseModule(filepath.Join(folder, v.File+".spv"))
		if err != nil {
			all = append(all, v.errorf("%w", err))
		}
		return m
	}
	for _, v := range s.Variants {
		v.Full, v.Lean = read(v, from.reflect), read(v, from.spv)
	}
	return errors.Join(all...)
}

// parseModule reads a compiled module.
func parseModule(path string) (*spirv.Module, error) {
	code, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; compile first: cmake -P CMakeLists-shaders.txt", err)
	}
	if err != nil {
		return nil, err
	}
	return spirv.Parse(code)
}

func (v *variant) errorf(format string, args ...any) error {
	return fmt.Errorf("shader %s: %w", v.File, fmt.Errorf(format, args...))
}

// check verifies that each variant suits the generated face and that all variants of a shader share one.
func (s *shader) check() error {
	var all []error
	for _, v := range s.Variants {
		all = append(all, v.checkFace(), v.checkFormats(), v.checkLean(), v.checkSame(s.Variants[0]))
	}
	return errors.Join(all...)
}

// checkFace wants everything numbered without gaps, which the Go arrays that hold it rely on.
func (v *variant) checkFace() error {
	for i, b := range v.Full.Bindings {
		if b.Number != i {
			return v.errorf("binding %q: want number %d, got %d", b.Name, i, b.Number)
		}
		if b.Access == 0 {
			return v.errorf("binding %q: readonly and writeonly at once", b.Name)
		}
	}
	for i, p := range v.Full.Push {
		if p.Offset != 4*i {
			return v.errorf("push constant %q: want offset %d, got %d", p.Name, 4*i, p.Offset)
		}
		if p.Type == spirv.Bool || p.Type == spirv.Other {
			return v.errorf("push constant %q: want uint, int or float, got %s", p.Name, p.GLSL)
		}
	}
	if n := v.Full.PushBytes(); n > maxPushBytes {
		return v.errorf("push constants: want %d bytes or fewer, got %d", maxPushBytes, n)
	}
	for i, c := range v.Full.Spec {
		if c.ID != i {
			return v.errorf("specialization constant %q: want id %d, got %d", c.Name, i, c.ID)
		}
		if c.Name == "" {
			return v.errorf("specialization constant %d: has no name", c.ID)
		}
		if c.Type == spirv.Other {
			return v.errorf("specialization constant %q: want uint, int, float or bool, got %s", c.Name, c.GLSL)
		}
	}
	return nil
}

// checkLean wants the module that runs to declare what its source declares, less what the optimiser found unused.
func (v *variant) checkLean() error {
	for _, b := range v.Lean.Bindings {
		if b.Number >= len(v.Full.Bindings) {
			return v.errorf("optimised: binding %d is not in the source", b.Number)
		}
		if f := v.Full.Bindings[b.Number]; b.Kind != f.Kind || b.Access&^f.Access != 0 {
			return v.errorf("optimised: binding %q: want %s, %s; got %s, %s", f.Name, f.Kind, f.Access, b.Kind, b.Access)
		}
	}
	if n := v.Lean.PushBytes(); n > v.Full.PushBytes() {
		return v.errorf("optimised: push constants: want %d bytes or fewer, got %d", v.Full.PushBytes(), n)
	}
	for _, c := range v.Lean.Spec {
		if c.ID >= len(v.Full.Spec) || c.Type != v.Full.Spec[c.ID].Type {
			return v.errorf("optimised: specialization constant %d: not as in the source", c.ID)
		}
	}
	for i, l := range v.Lean.LocalSize {
		f := v.Full.LocalSize[i]
		if l.Spec != f.Spec || f.Spec < 0 && l.Value != f.Value {
			return v.errorf("optimised: workgroup size %c: want %s, got %s", "xyz"[i], f, l)
		}
	}
	return nil
}

// checkSame wants a variant to have the first one's names, types and numbers. The kind of a binding and its element
// type may differ: that is what variants are for.
func (v *variant) checkSame(first *variant) error {
	a, b := first.Full, v.Full
	if len(a.Bindings) != len(b.Bindings) || len(a.Push) != len(b.Push) || len(a.Spec) != len(b.Spec) {
		return v.errorf("want as many bindings, push and specialization constants as %s: %d, %d, %d; got %d, %d, %d", first.File,
			len(a.Bindings), len(a.Push), len(a.Spec), len(b.Bindings), len(b.Push), len(b.Spec))
	}
	for i, x := range a.Bindings {
		if y := b.Bindings[i]; x.Name != y.Name || x.Access != y.Access {
			return v.errorf("binding %d: want %q, %s as in %s; got %q, %s", i, x.Name, x.Access, first.File, y.Name, y.Access)
		}
	}
	for i, x := range a.Push {
		if y := b.Push[i]; x != y {
			return v.errorf("push constant %d: want %s %q as in %s; got %s %q", i, x.Type, x.Name, first.File, y.Type, y.Name)
		}
	}
	for i, x := range a.Spec {
		if y := b.Spec[i]; x != y {
			return v.errorf("specialization constant %d: want %s %q = %s as in %s; got %s %q = %s", i,
				x.Type, x.Name, literal(x), first.File, y.Type, y.Name, literal(y))
		}
	}
	return nil
}
