package op

import "fmt"

// checker collects the first thing wrong with an op.
type checker struct {
	op  string
	err error
}

func (c *checker) fail(field, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("op %s: %s: %s", c.op, field, fmt.Sprintf(format, args...))
	}
}

func (c *checker) is(ok bool, field, want string, got any) {
	if !ok {
		c.fail(field, "want %s, got %v", want, got)
	}
}

// operand checks that an operand has a kind and, unless width is 0, a width.
func (c *checker) operand(field string, o *Operand, k Kind, width int) {
	switch {
	case o == nil:
		c.fail(field, "want a %s, got none", k)
	case o.Kind != k:
		c.fail(field, "want a %s, got %s", k, o)
	case o.Width <= 0 || width != 0 && o.Width != width:
		c.fail(field, "want %d elements, got %s", width, o)
	}
}

func (c *checker) vector(field string, o *Operand, n int) { c.operand(field, o, Weight, n) }

// matrix checks that an operand is a weight [out, in]. An out of 0 stands for any.
func (c *checker) matrix(field string, o *Operand, out, in int) {
	c.operand(field, o, Weight, 0)
	if c.err != nil {
		return
	}
	if len(o.Shape) != 2 || out != 0 && o.Shape[0] != out || o.Shape[1] != in {
		c.fail(field, "want shape [%d %d], got %s", out, in, o)
	}
}

// view checks that v is a part of a scratch vector, begins on a load boundary, and has the kind of like.
func (c *checker) view(field string, v, like View) {
	switch {
	case v.Of == nil:
		c.fail(field, "want a view, got none")
	case like.Of == nil:
	case v.Of.Kind != Row && v.Of.Kind != Out || v.Of.Kind != like.Of.Kind:
		c.fail(field, "want a %s, got %s", like.Of.Kind, v.Of)
	case v.Len <= 0 || v.Off < 0 || v.Off%Pad != 0 || v.Off+v.Len > v.Of.Width:
		c.fail(field, "want a part of %s on a multiple of %d, got [%d:%d]", v.Of, Pad, v.Off, v.Off+v.Len)
	}
}

func width(o *Operand) int {
	if o == nil {
		return 0
	}
	return o.Width
}
