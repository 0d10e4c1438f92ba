// Command gen writes shaders/zbind.go, the Go face of every compiled shader, read from its SPIR-V, and
// shaders/glsl/zglsl.go, what the shaders' sources fix.
//
//	cmake -P CMakeLists-shaders.txt     compile what changed
//	go run ./shaders/internal/gen       read it, check it, write zbind.go
//
// With -check it reads what cmake -DCHECK=1 compiled, writes nothing and fails where a file would change. They
// depend on the declarations in the shaders and not on the code that a compiler version makes of them, so this holds
// for every version of glslc.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	check := flag.Bool("check", false, "compare with the files instead of writing them")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(check bool) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	from := tree{
		variants: filepath.Join(root, "shaders", "variants.txt"),
		glsl:     filepath.Join(root, "shaders", "glsl.txt"),
		reflect:  filepath.Join(root, ".cache", "shaders", "reflect"),
		spv:      filepath.Join(root, "shaders", "spv"),
	}
	if check {
		from.reflect = filepath.Join(root, ".cache", "shaders-check", "reflect")
		from.spv = filepath.Join(root, ".cache", "shaders-check", "spv")
	}
	for _, file := range []struct {
		name string
		make func(tree) ([]byte, error)
	}{{"shaders/zbind.go", generate}, {"shaders/glsl/zglsl.go", generateShared}} {
		code, err := file.make(from)
		if err != nil {
			return err
		}
		if err := put(root, file.name, code, check); err != nil {
			return err
		}
	}
	return nil
}

// put writes a generated file that is not as it should be, or with check says so.
func put(root, name string, code []byte, check bool) error {
	path := filepath.Join(root, filepath.FromSlash(name))
	old, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(old, code):
		return nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	case check:
		return fmt.Errorf("%s: not what the shaders declare; "+
			"regenerate and commit: cmake -P CMakeLists-shaders.txt && go run ./shaders/internal/gen", name)
	}
	return os.WriteFile(path, code, 0o644)
}

// moduleRoot returns the folder of go.mod at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("gen: no go.mod at or above the working directory")
		}
		dir = up
	}
}

// tree says where the compiled shaders lie.
type tree struct {
	variants string // variants.txt
	glsl     string // glsl.txt
	reflect  string // folder of unoptimised modules, which have names
	spv      string // folder of the modules that run
}

// generate returns the text of zbind.go.
func generate(from tree) ([]byte, error) {
	text, err := os.ReadFile(from.variants)
	if err != nil {
		return nil, err
	}
	shaders, err := parseVariants(from.variants, string(text))
	if err != nil {
		return nil, err
	}
	var all []error
	for _, s := range shaders {
		if err := s.load(from); err != nil {
			all = append(all, err)
		} else if err := s.check(); err != nil {
			all = append(all, err)
		}
	}
	if err := errors.Join(all...); err != nil {
		return nil, err
	}
	if err := checkIdentifiers(shaders); err != nil {
		return nil, err
	}
	return write(shaders)
}
