package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

// exported returns the exported Go form of a GLSL name: matmul_vec -> MatmulVec, ROWS_PER_GROUP -> RowsPerGroup,
// rowsPerGroup -> RowsPerGroup, w1 -> W1.
func exported(name string) string {
	var b strings.Builder
	for _, part := range strings.Split(name, "_") {
		if part == "" {
			continue
		}
		if !strings.ContainsFunc(part, unicode.IsLower) {
			part = strings.ToLower(part)
		}
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}

// unexported is exported with a small first letter.
func unexported(name string) string {
	name = exported(name)
	return strings.ToLower(name[:1]) + name[1:]
}

// constName returns the name of a variant's constant: MatmulVecF16, and EmbedOnly for a shader's only form.
func constName(s *shader, v *variant) string {
	if v.Name == "" {
		return exported(s.Name) + "Only"
	}
	return exported(s.Name) + exported(v.Name)
}

// checkIdentifiers wants all Go names that the shaders give rise to distinct.
func checkIdentifiers(shaders []*shader) error {
	top := map[string]string{}
	for _, s := range shaders {
		name := exported(s.Name)
		list := []string{name, "New" + name, unexported(s.Name) + "Modules"}
		for _, suffix := range []string{"Args", "Push", "Spec", "Variant"} {
			list = append(list, name+suffix)
		}
		for _, v := range s.Variants {
			list = append(list, constName(s, v), "spv"+constName(s, v))
		}
		for _, id := range list {
			if other, taken := top[id]; taken {
				return fmt.Errorf("shaders %s and %s: both need the Go name %s", other, s.Name, id)
			}
			top[id] = s.Name
		}
		if err := s.checkFields(); err != nil {
			return err
		}
	}
	return nil
}

// checkFields wants the fields of each of a shader's structs distinct and spelled like Go names.
func (s *shader) checkFields() error {
	m := s.Variants[0].Full
	var args, push, spec []string
	for _, b := range m.Bindings {
		args = append(args, b.Name)
	}
	for _, p := range m.Push {
		push = append(push, p.Name)
	}
	for _, c := range m.Spec {
		spec = append(spec, c.Name)
	}
	for what, names := range map[string][]string{"bindings": args, "push constants": push, "specialization constants": spec} {
		seen := map[string]string{}
		for _, name := range names {
			id := exported(name)
			if id == "" || !unicode.IsUpper(rune(id[0])) {
				return fmt.Errorf("shader %s: %s: %q makes no exported Go name", s.Name, what, name)
			}
			if other, taken := seen[id]; taken {
				return fmt.Errorf("shader %s: %s: %q and %q both become %s", s.Name, what, other, name, id)
			}
			seen[id] = name
		}
	}
	return nil
}

// goType returns the Go type of a scalar.
func goType(s spirv.Scalar) string {
	return [...]string{spirv.Uint: "uint32", spirv.Int: "int32", spirv.Float: "float32", spirv.Bool: "bool"}[s]
}

// literal returns a constant's default, for people.
func literal(c spirv.Constant) string {
	switch c.Type {
	case spirv.Bool:
		return strconv.FormatBool(c.Default != 0)
	case spirv.Int:
		return strconv.FormatInt(int64(int32(c.Default)), 10)
	case spirv.Float:
		return strconv.FormatFloat(float64(math.Float32frombits(c.Default)), 'g', -1, 32)
	}
	return strconv.FormatUint(uint64(c.Default), 10)
}

// bits returns the Go expression for the four bytes of a Spec struct's field.
func bits(c spirv.Constant) string {
	field := "s." + exported(c.Name)
	switch c.Type {
	case spirv.Bool:
		return "bit(" + field + ")"
	case spirv.Int:
		return "uint32(" + field + ")"
	case spirv.Float:
		return "toBits(" + field + ")"
	}
	return field
}
