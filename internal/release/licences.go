package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// module is a Go module that a binary has packages of.
type module struct {
	path, version, dir string
	folders            []string // of those packages, below dir; "." is dir itself
}

// modulesOf returns the modules that packages of this module are built from, but for this one, with the environment of
// a target's build.
func modulesOf(env []string, args ...string) ([]module, error) {
	c := command(env, "go", append([]string{"list", "-deps", "-json=Dir,Module"}, args...)...)
	out, err := c.Output()
	if err != nil {
		return nil, failed("go list", err)
	}
	byPath := map[string]*module{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir    string
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Module == nil || p.Module.Main { // the standard library, this module
			continue
		}
		m := byPath[p.Module.Path]
		if m == nil {
			m = &module{path: p.Module.Path, version: p.Module.Version, dir: p.Module.Dir}
			byPath[m.path] = m
		}
		folder, err := filepath.Rel(m.dir, p.Dir)
		if err != nil {
			return nil, err
		}
		m.folders = append(m.folders, folder)
	}
	var list []module
	for _, m := range byPath {
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b module) int { return strings.Compare(a.path, b.path) })
	return list, nil
}

// licenceFile is what files of licences and notices are called.
var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]es?|copying|notice|patents|copyright|authors)([-_.].*)?$`)

// licenceFiles returns the paths below the module's folder of its licences and notices: those of the folders that
// packages lie in and of the folders above these, and what lies in folders that are called so.
func (m *module) licenceFiles() (files []string, err error) {
	folders := []string{"."}
	for _, f := range m.folders {
		for ; f != "."; f = filepath.Dir(f) {
			folders = append(folders, f)
		}
	}
	slices.Sort(folders)
	for _, folder := range slices.Compact(folders) {
		list, err := os.ReadDir(filepath.Join(m.dir, folder))
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			path := filepath.Join(folder, e.Name())
			switch {
			case !licenceFile.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go"):
			case e.Type().IsRegular():
				files = append(files, path)
			case e.IsDir():
				inside, err := filepath.Glob(filepath.Join(literal(m.dir), literal(path), "*"))
				if err != nil {
					return nil, err
				}
				for _, name := range inside {
					files = append(files, filepath.Join(path, filepath.Base(name)))
				}
			}
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// literal returns the pattern of Glob that only text fits.
func literal(text string) string { return regexp.MustCompile(`[][*?\\]`).ReplaceAllString(text, `\$0`) }

// accepted are the licences under which others' code may be in an archive under the Apache licence. The names are
// SPDX's.
var accepted = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0", "FTL", "ISC", "MIT", "OFL-1.1", "Unlicense", "Zlib"}

// chosen are modules whose words about their licence no program understands, with the file that has or names the one
// under which they are used.
var chosen = map[string]struct{ id, file string }{
	"github.com/golang/freetype":       {"FTL", "licenses/ftl.txt"}, // or GPL-2.0
	"github.com/mattn/go-localereader": {"MIT", "README.md"},        // it has no file of a licence
}

// notice is what a module's licences want to be told.
type notice struct {
	title string
	ids   []string
	texts []string // with their file names before them
}

// notice reads a module's licences. Something has to allow the module's use, and nothing may be unknown.
func (m *module) notice() (n notice, err error) {
	n.title = m.path + " " + m.version
	files, err := m.licenceFiles()
	if err != nil {
		return n, err
	}
	choice, isChosen := chosen[m.path]
	if isChosen { // without other licences, which lie beside it
		n.ids = append(n.ids, choice.id)
		files = slices.DeleteFunc(files, func(f string) bool { return f != filepath.Base(f) })
		files = append(files, filepath.FromSlash(choice.file))
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(m.dir, file))
		if err != nil {
			return n, err
		}
		for _, match := range licensecheck.Scan(text).Match {
			n.ids = append(n.ids, match.ID)
		}
		n.texts = append(n.texts, filepath.ToSlash(file)+"\n\n"+strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n"))+"\n")
	}
	n.ids = slices.DeleteFunc(n.ids, func(id string) bool { return id == "GooglePatentsFile" }) // which grants more
	slices.Sort(n.ids)
	n.ids = slices.Compact(n.ids)
	if len(n.ids) == 0 {
		return n, fmt.Errorf("%s: want a file with a licence that is known, got %q", n.title, files)
	}
	for _, id := range n.ids {
		if !slices.Contains(accepted, id) {
			return n, fmt.Errorf("%s: want one of %s, got %s", n.title, strings.Join(accepted, ", "), id)
		}
	}
	return n, nil
}

// write renders notices: a list of all, and then the text of each.
func write(notices []notice) []byte {
	var b bytes.Buffer
	b.WriteString("What this archive holds of others, and under which licences. The texts follow the list.\n\n")
	for _, n := range notices {
		fmt.Fprintf(&b, "  %-90s %s\n", n.title, strings.Join(n.ids, ", "))
	}
	rule := strings.Repeat("=", 100)
	for _, n := range notices {
		fmt.Fprintf(&b, "\n%s\n%s\n", rule, n.title)
		for _, text := range n.texts {
			fmt.Fprintf(&b, "\n--- %s", text)
		}
	}
	return b.Bytes()
}
