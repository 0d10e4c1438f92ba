package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// shader is one .comp file with its compiled forms.
type shader struct {
	Name     string // matmul_vec
	Variants []*variant
}

// variant is one compiled form of a shader.
type variant struct {
	Name    string            // f16; "" where the shader has only one form
	File    string            // matmul_vec.f16, without .spv
	Formats map[string]string // of texel bindings, by GLSL name, where variants.txt gives one
	Defines []string          // macros, as variants.txt has them
	module
}

var identifier = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
var variantName = regexp.MustCompile(`^([a-z0-9_]+|-)$`)

// parseVariants reads lines "SHADER VARIANT [DEFINE[=VALUE] ...] [BINDING:FORMAT ...]" and groups them by shader, in
// order of appearance.
func parseVariants(path, text string) ([]*shader, error) {
	var shaders []*shader
	byName := map[string]*shader{}
	seen := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		fail := func(format string, args ...any) ([]*shader, error) {
			return nil, fmt.Errorf("%s:%d: %s", filepath.Base(path), i+1, fmt.Sprintf(format, args...))
		}
		if len(words) < 2 {
			return fail("want SHADER VARIANT [DEFINE[=VALUE] ...] [BINDING:FORMAT ...], got %q", strings.TrimSpace(line))
		}
		if !identifier.MatchString(words[0]) {
			return fail("shader: want lower-case letters, digits and _, got %q", words[0])
		}
		if !variantName.MatchString(words[1]) {
			return fail(`variant: want lower-case letters, digits and _, or "-", got %q`, words[1])
		}
		s := byName[words[0]]
		if s == nil {
			s = &shader{Name: words[0]}
			byName[s.Name] = s
			shaders = append(shaders, s)
		}
		v := &variant{Name: words[1], File: words[0] + "." + words[1], Formats: map[string]string{}}
		for _, w := range words[2:] {
			if binding, format, ok := strings.Cut(w, ":"); ok {
				v.Formats[binding] = format
			} else {
				v.Defines = append(v.Defines, w)
			}
		}
		if v.Name == "-" {
			v.Name, v.File = "", s.Name
		}
		if seen[v.File] {
			return fail("%s stands twice", v.File)
		}
		seen[v.File] = true
		if s.Variants = append(s.Variants, v); len(s.Variants) > 1 && s.Variants[0].Name == "" || len(s.Variants) > 1 && v.Name == "" {
			return fail(`shader %s: variant "-" stands beside others`, s.Name)
		}
	}
	return shaders, nil
}
