package engine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a package or a type may grow to before it is two: lines without tests, methods, fields.
const (
	mostLines   = 1800
	mostMethods = 25
	mostFields  = 15
)

// No package here or below, and no type of one, grows beyond what a reader can hold; each package says its one job,
// in doc.go.
func TestSizes(t *testing.T) {
	packages := 0
	err := filepath.WalkDir(".", func(dir string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if s := sizesOf(t, dir); s.lines > 0 {
			packages++
			s.check(t, dir)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if packages < 20 {
		t.Errorf("want all packages of the engine, found %d", packages)
	}
}

// sizes are those of a package.
type sizes struct {
	lines           int
	documented      bool
	methods, fields map[string]int // by type
}

func sizesOf(t *testing.T, dir string) sizes {
	t.Helper()
	s := sizes{methods: map[string]int{}, fields: map[string]int{}}
	list, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		s.lines += strings.Count(string(source), "\n")
		s.documented = s.documented || f.Doc != nil && filepath.Base(path) == "doc.go"
		ast.Inspect(f, s.count)
	}
	return s
}

// count takes a declaration into account.
func (s *sizes) count(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		if n.Recv != nil {
			s.methods[receiver(n.Recv.List[0].Type)]++
		}
	case *ast.TypeSpec:
		if fields, ok := n.Type.(*ast.StructType); ok {
			s.fields[n.Name.Name] = fields.Fields.NumFields()
		}
	}
	return true
}

// receiver returns the name of a method's type.
func receiver(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return receiver(x.X)
	case *ast.IndexExpr:
		return receiver(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

func (s *sizes) check(t *testing.T, dir string) {
	t.Helper()
	if s.lines > mostLines || !s.documented {
		t.Errorf("%s: %d lines, want at most %d; says its job in doc.go: %t", dir, s.lines, mostLines, s.documented)
	}
	for what, c := range map[string]struct {
		of   map[string]int
		most int
	}{"methods": {s.methods, mostMethods}, "fields": {s.fields, mostFields}} {
		for name, n := range c.of {
			if n > c.most {
				t.Errorf("%s: type %s has %d %s, want at most %d", dir, name, n, what, c.most)
			}
		}
	}
}
