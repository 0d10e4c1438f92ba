package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// source is what a preprocessed shader defines outside its functions.
type source struct {
	constants map[string]string // their expressions
	structs   map[string]string // their members
}

var (
	constantOf   = regexp.MustCompile(`^const\s+(?:uint|int|float)\s+(.*)$`)
	structOf     = regexp.MustCompile(`^struct\s+(\w+)\s*\{(.*)\}$`)
	memberOf     = regexp.MustCompile(`^(uint|int|float)\s+(\w+)\s*(?:\[\s*(\w+)\s*\])?$`)
	unsignedOf   = regexp.MustCompile(`\b(0[xX][0-9a-fA-F]+|[0-9]+)[uU]\b`)
	numberOf     = regexp.MustCompile(`^[0-9]+$`)
	lineControls = regexp.MustCompile(`(?m)^\s*#.*$`)
)

// parseSource reads preprocessed text, which no comments are left in, and the numbers that a variant defines.
func parseSource(text string, defines []string) (*source, error) {
	s := &source{map[string]string{}, map[string]string{}}
	for _, d := range defines {
		if name, value, ok := strings.Cut(d, "="); ok && numberOf.MatchString(value) {
			s.constants[name] = value
		}
	}
	for _, statement := range statements(lineControls.ReplaceAllString(text, "")) {
		if m := structOf.FindStringSubmatch(statement); m != nil {
			s.structs[m[1]] = m[2]
		}
		m := constantOf.FindStringSubmatch(statement)
		if m == nil { // also of a constant that a specialization sets, which begins with its layout
			continue
		}
		for _, d := range split(m[1], ',') {
			name, expr, ok := strings.Cut(d, "=")
			if name = strings.TrimSpace(name); !ok || s.constants[name] != "" && s.constants[name] != strings.TrimSpace(expr) {
				return nil, fmt.Errorf("constant %s: want one value, got %q and %q", name, s.constants[name], expr)
			}
			s.constants[name] = strings.TrimSpace(expr)
		}
	}
	return s, nil
}

// statements returns what stands outside of functions, without the semicolons that end it, on one line each.
func statements(text string) (list []string) {
	depth, begin := 0, 0
	for i, c := range text {
		switch {
		case c == '{' || c == '(':
			depth++
		case c == '}' || c == ')':
			if depth--; depth == 0 && c == '}' && !strings.HasPrefix(strings.TrimSpace(text[i+1:]), ";") && isFunction(text[begin:i]) {
				begin = i + 1
			}
		case c == ';' && depth == 0:
			list = append(list, strings.Join(strings.Fields(text[begin:i]), " "))
			begin = i + 1
		}
	}
	return list
}

// isFunction reports whether a brace that a text has closes a function, after which no semicolon comes.
func isFunction(text string) bool {
	before, _, _ := strings.Cut(text, "{")
	return strings.HasSuffix(strings.TrimSpace(before), ")")
}

// split cuts a text at a character outside of parentheses.
func split(text string, at rune) (parts []string) {
	depth, begin := 0, 0
	for i, c := range text {
		switch {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == at && depth == 0:
			parts = append(parts, text[begin:i])
			begin = i + 1
		}
	}
	return append(parts, text[begin:])
}

// value returns the value of an expression, as Go spells it.
func (s *source) value(expr string) (string, error) {
	v, err := s.eval(expr, 0)
	if err != nil {
		return "", err
	}
	if v.Kind() == constant.Int {
		if n, exact := constant.Uint64Val(v); exact && n >= 1<<31 {
			return fmt.Sprintf("%#x", n), nil
		}
		return v.ExactString(), nil
	}
	f, _ := constant.Float64Val(v)
	return strconv.FormatFloat(f, 'g', -1, 64), nil
}

// maxEval bounds how deep constants stand in one another: one may stand in itself.
const maxEval = 32

func (s *source) eval(expr string, depth int) (constant.Value, error) {
	if depth > maxEval {
		return nil, fmt.Errorf("%q: a constant that stands in itself", expr)
	}
	tree, err := parser.ParseExpr(unsignedOf.ReplaceAllString(expr, "$1"))
	if err != nil {
		return nil, fmt.Errorf("%q: no expression of constants", expr)
	}
	return s.node(tree, depth)
}

func (s *source) node(tree ast.Expr, depth int) (constant.Value, error) {
	switch n := tree.(type) {
	case *ast.BasicLit:
		if n.Kind == token.INT || n.Kind == token.FLOAT {
			return constant.MakeFromLiteral(n.Value, n.Kind, 0), nil
		}
	case *ast.ParenExpr:
		return s.node(n.X, depth)
	case *ast.Ident:
		if expr, ok := s.constants[n.Name]; ok {
			return s.eval(expr, depth+1)
		}
		return nil, fmt.Errorf("%s: no constant that the source fixes", n.Name)
	case *ast.UnaryExpr:
		x, err := s.node(n.X, depth)
		if err == nil && n.Op == token.SUB {
			return constant.UnaryOp(token.SUB, x, 0), nil
		}
		if err != nil {
			return nil, err
		}
	case *ast.CallExpr:
		if f, ok := n.Fun.(*ast.Ident); ok && len(n.Args) == 2 && (f.Name == "min" || f.Name == "max") {
			return s.binary(n.Args[0], n.Args[1], depth, func(x, y constant.Value) (constant.Value, error) {
				if constant.Compare(x, token.LSS, y) == (f.Name == "min") {
					return x, nil
				}
				return y, nil
			})
		}
	case *ast.BinaryExpr:
		return s.binary(n.X, n.Y, depth, func(x, y constant.Value) (constant.Value, error) { return arithmetic(n.Op, x, y) })
	}
	return nil, fmt.Errorf("want numbers, names, + - * / %%, min and max, got %T", tree)
}

func (s *source) binary(a, b ast.Expr, depth int, do func(x, y constant.Value) (constant.Value, error)) (constant.Value, error) {
	x, err := s.node(a, depth)
	if err != nil {
		return nil, err
	}
	y, err := s.node(b, depth)
	if err != nil {
		return nil, err
	}
	return do(x, y)
}

func arithmetic(op token.Token, x, y constant.Value) (constant.Value, error) {
	whole := x.Kind() == constant.Int && y.Kind() == constant.Int
	switch op {
	case token.ADD, token.SUB, token.MUL:
		return constant.BinaryOp(x, op, y), nil
	case token.QUO, token.REM:
		if whole && constant.Sign(y) != 0 {
			if op == token.QUO {
				op = token.QUO_ASSIGN // of whole numbers
			}
			return constant.BinaryOp(x, op, y), nil
		}
	}
	return nil, fmt.Errorf("%s %s %s: not computed here", x, op, y)
}

// structure returns a struct of 4-byte scalars and arrays of them, which have the same layout wherever they stand.
func (s *source) structure(name string) (st structure, err error) {
	members, ok := s.structs[name]
	if !ok {
		return st, fmt.Errorf("no struct %s", name)
	}
	for _, text := range strings.Split(members, ";") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		m := memberOf.FindStringSubmatch(text)
		if m == nil {
			return st, fmt.Errorf("struct %s: want members of uint, int or float, got %q", name, text)
		}
		f := field{Name: exported(m[2]), GLSL: m[2], Type: map[string]string{"uint": "uint32", "int": "int32", "float": "float32"}[m[1]]}
		st.Words++
		if m[3] != "" {
			v, err := s.eval(m[3], 0)
			if err != nil {
				return st, fmt.Errorf("struct %s: %w", name, err)
			}
			n, _ := constant.Int64Val(v)
			f.Count = int(n)
			st.Words += f.Count - 1
		}
		st.Fields = append(st.Fields, f)
	}
	return st, nil
}
