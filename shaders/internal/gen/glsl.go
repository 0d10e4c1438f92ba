package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
)

//go:embed zglsl.tmpl
var zglsl string

// wanted is a line of glsl.txt.
type wanted struct {
	line               int
	module, expr, name string
	comment            string
}

// structPrefix marks a struct in the place of an expression.
const structPrefix = "struct:"

// parseWanted reads lines "MODULE EXPRESSION NAME # comment".
func parseWanted(path, text string) ([]wanted, error) {
	var list []wanted
	names := map[string]bool{}
	for i, line := range strings.Split(text, "\n") {
		line, comment, _ := strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		fail := func(format string, args ...any) ([]wanted, error) {
			return nil, fmt.Errorf("%s:%d: %s", filepath.Base(path), i+1, fmt.Sprintf(format, args...))
		}
		if len(words) != 3 {
			return fail("want MODULE EXPRESSION NAME, got %q", strings.TrimSpace(line))
		}
		w := wanted{i + 1, words[0], words[1], words[2], strings.TrimSpace(comment)}
		if w.name == "" || exported(w.name) != w.name && !strings.Contains(w.name, "_") || names[w.name] {
			return fail("name: want a Go name that stands once, got %q", w.name)
		}
		names[w.name] = true
		list = append(list, w)
	}
	return list, nil
}

// shared is the content of zglsl.go.
type shared struct {
	Constants []fixed
	Structs   []structure
}

type fixed struct{ Name, Value, Comment, From string }

type structure struct {
	Name, Comment, From string
	Fields              []field
	Words               int
}

type field struct {
	Name, GLSL, Type string
	Count            int // of an array; 0 for a scalar
}

// sources has the text of modules as the compiler sees it, with all it includes and defines.
type sources struct {
	dir      string // of the shaders
	variants map[string]*variant
	shaders  map[string]*shader
	texts    map[string]*source
	glslc    string
}

func newSources(from tree) (*sources, error) {
	text, err := os.ReadFile(from.variants)
	if err != nil {
		return nil, err
	}
	list, err := parseVariants(from.variants, string(text))
	if err != nil {
		return nil, err
	}
	s := &sources{dir: filepath.Dir(from.variants), variants: map[string]*variant{}, shaders: map[string]*shader{}, texts: map[string]*source{}}
	for _, shader := range list {
		for _, v := range shader.Variants {
			s.variants[v.File], s.shaders[v.File] = v, shader
		}
	}
	if s.glslc, err = exec.LookPath("glslc"); err != nil {
		return nil, errors.New("gen: glslc not found, which CMakeLists-shaders.txt says how to install")
	}
	return s, nil
}

// of returns a module's source.
func (s *sources) of(module string) (*source, error) {
	if src := s.texts[module]; src != nil {
		return src, nil
	}
	v := s.variants[module]
	if v == nil {
		return nil, fmt.Errorf("no module %q in variants.txt", module)
	}
	args := []string{"-E", "-I", s.dir}
	for _, d := range v.Defines {
		args = append(args, "-D"+d)
	}
	out, err := exec.Command(s.glslc, append(args, filepath.Join(s.dir, s.shaders[module].Name+".comp"))...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, err
	}
	src, err := parseSource(string(out), v.Defines)
	s.texts[module] = src
	return src, err
}

// sharedMemory returns the most shared memory of all variants of a module's shader.
func (s *sources) sharedMemory(module, spv string) (most int, err error) {
	for _, v := range s.shaders[module].Variants {
		m, err := parseModule(filepath.Join(spv, v.File+".spv"))
		if err != nil {
			return 0, err
		}
		most = max(most, m.SharedBytes(nil))
	}
	return most, nil
}

// generateShared returns the text of zglsl.go.
func generateShared(from tree) ([]byte, error) {
	text, err := os.ReadFile(from.glsl)
	if err != nil {
		return nil, err
	}
	list, err := parseWanted(from.glsl, string(text))
	if err != nil {
		return nil, err
	}
	s, err := newSources(from)
	if err != nil {
		return nil, err
	}
	var all shared
	for _, w := range list {
		if err := all.add(s, from, w); err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", filepath.Base(from.glsl), w.line, w.name, err)
		}
	}
	var b bytes.Buffer
	if err := template.Must(template.New("zglsl.go").Parse(zglsl)).Execute(&b, all); err != nil {
		return nil, err
	}
	code, err := format.Source(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("zglsl.go: %w", err)
	}
	return code, nil
}

// agree wants other modules to have the same value of a line's expression.
func (s *sources) agree(w wanted, others []string) error {
	want := ""
	for _, module := range append([]string{w.module}, others...) {
		src, err := s.of(module)
		if err != nil {
			return err
		}
		got, err := src.value(w.expr)
		if err != nil {
			return fmt.Errorf("%s: %w", module, err)
		}
		if want == "" {
			want = got
		}
		if got != want {
			return fmt.Errorf("%s: want %s as in %s, got %s", module, want, w.module, got)
		}
	}
	return nil
}

// add appends what a line wants. Several modules must agree on it.
func (all *shared) add(s *sources, from tree, w wanted) error {
	first, others, several := strings.Cut(w.module, ",")
	w.module = first
	if several {
		if err := s.agree(w, strings.Split(others, ",")); err != nil {
			return err
		}
	}
	src, err := s.of(w.module)
	if err != nil {
		return err
	}
	file := s.shaders[w.module].Name + ".comp"
	var value string
	switch name, isStruct := strings.CutPrefix(w.expr, structPrefix); {
	case isStruct:
		st, err := src.structure(name)
		if err != nil {
			return err
		}
		st.Name, st.Comment, st.From = w.name, w.comment, file
		all.Structs = append(all.Structs, st)
		return nil
	case w.expr == "shared":
		n, err := s.sharedMemory(w.module, from.spv)
		if err != nil {
			return err
		}
		value = fmt.Sprint(n)
	case w.expr == "buffers":
		m, err := parseModule(filepath.Join(from.spv, w.module+".spv"))
		if err != nil {
			return err
		}
		value = fmt.Sprint(len(slices.DeleteFunc(m.Bindings, func(b spirv.Binding) bool { return b.Kind != spirv.StorageBuffer })))
	default:
		if value, err = src.value(w.expr); err != nil {
			return err
		}
	}
	all.Constants = append(all.Constants, fixed{w.name, value, w.comment, fmt.Sprintf("%s of %s", w.expr, file)})
	return nil
}
