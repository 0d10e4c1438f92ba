package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sources are the shaders of the tree.
type sources struct {
	root  string
	lines []string          // of variants.txt
	text  map[string]string // by path below shaders
}

func readSources(root string) (*sources, error) {
	s := &sources{root: root, text: map[string]string{}}
	for _, pattern := range []string{"*.comp", "lib/*"} {
		paths, err := filepath.Glob(filepath.Join(root, "shaders", pattern))
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			data, err := os.ReadFile(p)
			if err != nil {
				return nil, err
			}
			s.text[filepath.ToSlash(strings.TrimPrefix(p, filepath.Join(root, "shaders")+string(filepath.Separator)))] = string(data)
		}
	}
	data, err := os.ReadFile(filepath.Join(root, "shaders", "variants.txt"))
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if line, _, _ = strings.Cut(line, "#"); len(strings.Fields(line)) > 1 {
			s.lines = append(s.lines, line)
		}
	}
	return s, nil
}

// check verifies that every mutant fits the sources, and that every source has one.
func (s *sources) check(list []mutant) error {
	left := map[string]bool{}
	for name := range s.text {
		left[name] = true
	}
	for i := range list {
		m := &list[i]
		text, ok := s.text[m.File]
		if !ok {
			return fmt.Errorf("shaders/%s: no such file", m.File)
		}
		if _, err := m.apply(text); err != nil {
			return err
		}
		if m.Why == "" {
			return fmt.Errorf("shaders/%s: a mutant without a reason: %s", m.File, m.Old)
		}
		delete(left, m.File)
	}
	for _, name := range sorted(left) {
		return fmt.Errorf("shaders/%s: has no mutant", name)
	}
	_, err := s.hooked()
	return err
}

var includes = regexp.MustCompile(`(?m)^#include "([^"]+)"`)

// reaches reports whether a source is file, or includes it.
func (s *sources) reaches(source, file string) bool {
	if source == file {
		return true
	}
	for _, m := range includes.FindAllStringSubmatch(s.text[source], -1) {
		if s.reaches(m[1], file) {
			return true
		}
	}
	return false
}

// candidates returns the lines of variants.txt that a mutant may change.
func (s *sources) candidates(m *mutant) (list []string, err error) {
	only, err := regexp.Compile(m.Only)
	if err != nil {
		return nil, err
	}
	for _, line := range s.lines {
		w := strings.Fields(line)
		if only.MatchString(w[0]+"."+w[1]) && s.reaches(w[0]+".comp", m.File) {
			list = append(list, line)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("shaders/%s: no variant matches %q", m.File, m.Only)
	}
	return list, nil
}

// modules are those that a mutant makes other than they are.
type modules struct {
	dir      string
	variants []string // their names, without .spv
	sum      string   // of what they are, but for forms that only load otherwise than one here, by texels
}

// compile makes the modules that a mutant changes, in a folder that is kept for the next run.
func (s *sources) compile(m *mutant, cache string) (made modules, err error) {
	lines, err := s.candidates(m)
	if err != nil {
		return made, err
	}
	text, err := m.apply(s.text[m.File])
	if err != nil {
		return made, err
	}
	version, err := os.ReadFile(filepath.Join(s.root, "shaders", "spv", "VERSION"))
	if err != nil {
		return made, err
	}
	hash := sha256.New()
	tree := map[string]string{"variants.txt": strings.Join(lines, "\n") + "\n"}
	for name, content := range s.text {
		if name == m.File {
			content = text
		}
		if strings.HasPrefix(name, "lib/") || slices.ContainsFunc(lines, func(l string) bool { return strings.Fields(l)[0]+".comp" == name }) {
			tree[name] = content
		}
	}
	for _, name := range sorted(tree) {
		fmt.Fprintf(hash, "%s %d\n%s", name, len(tree[name]), tree[name])
	}
	hash.Write(version)
	dir := filepath.Join(cache, hex.EncodeToString(hash.Sum(nil)[:10]))
	made.dir = filepath.Join(dir, "shaders", "spv")
	if _, err := os.Stat(filepath.Join(made.dir, "VERSION")); err != nil {
		if err := s.run(dir, tree); err != nil {
			return made, fmt.Errorf("shaders/%s: %s: %w", m.File, m.New, err)
		}
	}
	now, err := os.ReadFile(filepath.Join(made.dir, "VERSION"))
	if err == nil && !bytes.Equal(now, version) {
		err = errors.New("shaders/spv is of other versions of the compilers than are here")
	}
	if err == nil {
		err = s.changed(&made)
	}
	if err == nil && len(made.variants) == 0 {
		err = fmt.Errorf("shaders/%s: compiles to what is there: %s", m.File, m.New)
	}
	return made, err
}

// run writes a tree and compiles it as the committed one is.
func (s *sources) run(dir string, tree map[string]string) error {
	for name, content := range tree {
		path := filepath.Join(dir, "shaders", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	out, err := exec.Command("cmake", "-DROOT="+dir, "-P", filepath.Join(s.root, "CMakeLists-shaders.txt")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// changed notes the modules that are not the committed ones, and removes the others.
func (s *sources) changed(made *modules) error {
	paths, err := filepath.Glob(filepath.Join(made.dir, "*.spv"))
	if err != nil {
		return err
	}
	code := map[string][]byte{}
	for _, p := range paths {
		have, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		want, err := os.ReadFile(filepath.Join(s.root, "shaders", "spv", filepath.Base(p)))
		if err != nil {
			return err
		}
		if bytes.Equal(have, want) {
			if err := os.Remove(p); err != nil {
				return err
			}
			continue
		}
		name := strings.TrimSuffix(filepath.Base(p), ".spv")
		made.variants = append(made.variants, name)
		code[name] = have
	}
	sum := sha256.New()
	for _, name := range made.variants {
		if _, twice := code[strings.TrimSuffix(name, "_tx")]; strings.HasSuffix(name, "_tx") && twice {
			continue
		}
		if _, twice := code[strings.TrimSuffix(name, ".tx")+".buf"]; strings.HasSuffix(name, ".tx") && twice {
			continue
		}
		fmt.Fprintf(sum, "%s %d\n%s", name, len(code[name]), code[name])
	}
	made.sum = hex.EncodeToString(sum.Sum(nil))
	return nil
}

func sorted[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
