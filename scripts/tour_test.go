package scripts

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ARCHITECTURE.md leads from a prompt to a submission in twelve stops at most, and each is a function that is there.
func TestTour(t *testing.T) {
	text, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, tour, ok := strings.Cut(string(text), "\n## Reading the source\n")
	if !ok {
		t.Fatal("ARCHITECTURE.md: want a section \"Reading the source\"")
	}
	tour, _, _ = strings.Cut(tour, "\n## ")
	if stops := len(regexp.MustCompile(`(?m)^\d+\. `).FindAllString(tour, -1)); stops == 0 || stops > 12 {
		t.Errorf("want 1 to 12 stops, got %d", stops)
	}
	named := regexp.MustCompile("`([a-z0-9_/.-]+\\.(?:go|comp))`(?:,\\s+`(\\w+)`)?").FindAllStringSubmatch(tour, -1)
	if len(named) < 12 {
		t.Errorf("want a file for each stop, got %d", len(named))
	}
	for _, m := range named {
		path := filepath.Join("..", filepath.FromSlash(m[1]))
		if _, err := os.Stat(path); err != nil {
			t.Errorf("ARCHITECTURE.md names %s: %v", m[1], err)
		} else if m[2] != "" && !slices.Contains(functions(t, path), m[2]) {
			t.Errorf("ARCHITECTURE.md names %s of %s, which has no such function", m[2], m[1])
		}
	}
}

// functions returns the names of a Go file's functions and methods.
func functions(t *testing.T, path string) (names []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			names = append(names, fn.Name.Name)
		}
	}
	return names
}
