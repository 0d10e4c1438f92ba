package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// ggufKind is the type of a metadata value.
type ggufKind uint32

const (
	ggufUint8 ggufKind = iota
	ggufInt8
	ggufUint16
	ggufInt16
	ggufUint32
	ggufInt32
	ggufFloat32
	ggufBool
	ggufString
	ggufArray
	ggufUint64
	ggufInt64
	ggufFloat64
)

// ggufKinds names the kinds, and gives the size of those that have one.
var ggufKinds = [...]struct {
	name string
	size int
}{
	{"uint8", 1}, {"int8", 1}, {"uint16", 2}, {"int16", 2}, {"uint32", 4}, {"int32", 4}, {"float32", 4}, {"bool", 1},
	{"string", 0}, {"array", 0}, {"uint64", 8}, {"int64", 8}, {"float64", 8},
}

func (k ggufKind) String() string {
	if int(k) < len(ggufKinds) {
		return ggufKinds[k].name
	}
	return fmt.Sprintf("kind %d", uint32(k))
}

// ggufValue is a metadata value. Its bytes are those of the file: a number's, a string's without its length, or all
// elements of an array.
type ggufValue struct {
	kind  ggufKind
	of    ggufKind // elements of an array
	count int      // of an array
	data  []byte
}

// cursor walks the bytes of a file. Every error of it names the field that was being read.
type cursor struct {
	data []byte
	at   int
}

// take returns the next n bytes.
func (c *cursor) take(n uint64, field string) ([]byte, error) {
	left := len(c.data) - c.at
	if n > uint64(left) {
		return nil, &Error{Field: field, Want: fmt.Sprintf("%d bytes at byte %d", n, c.at), Got: fmt.Sprintf("the %d that are left (truncated file?)", left)}
	}
	b := c.data[c.at : c.at+int(n)]
	c.at += int(n)
	return b, nil
}

func (c *cursor) uint32(field string) (uint32, error) {
	b, err := c.take(4, field)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) uint64(field string) (uint64, error) {
	b, err := c.take(8, field)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// str returns the bytes of the string that starts here with its length.
func (c *cursor) str(field string) ([]byte, error) {
	n, err := c.uint64(field)
	if err != nil {
		return nil, err
	}
	return c.take(n, field)
}

// ident returns a short string that names something.
func (c *cursor) ident(field string) (string, error) {
	b, err := c.str(field)
	if err != nil {
		return "", err
	}
	if len(b) == 0 || len(b) > maxName {
		return "", &Error{Field: field, Want: fmt.Sprintf("1 to %d bytes", maxName), Got: fmt.Sprintf("%d at byte %d", len(b), c.at-len(b))}
	}
	if !utf8.Valid(b) {
		return "", &Error{Field: field, Want: "UTF-8", Got: fmt.Sprintf("%q", b)}
	}
	return string(b), nil
}

// value reads a metadata value of that kind.
func (c *cursor) value(kind ggufKind, key string) (ggufValue, error) {
	v := ggufValue{kind: kind}
	var err error
	switch {
	case kind == ggufString:
		v.data, err = c.str(key)
	case kind == ggufArray:
		return c.array(key)
	case int(kind) >= len(ggufKinds):
		err = &Error{Field: key, Want: "a known type of value (0 to 12)", Got: strconv.Itoa(int(kind))}
	default:
		v.data, err = c.take(uint64(ggufKinds[kind].size), key)
		if err == nil && kind == ggufBool && v.data[0] > 1 {
			err = &Error{Field: key, Want: "a bool of 0 or 1", Got: strconv.Itoa(int(v.data[0]))}
		}
	}
	return v, err
}

// maxElements bounds an array, which has an element for each token at the most: a file may be large and hold nothing.
const maxElements = 1 << 24

// array reads an array's element type, count and elements. Elements are scalars or strings: no RWKV file nests arrays.
func (c *cursor) array(key string) (v ggufValue, err error) {
	kind, err := c.uint32(key)
	if err != nil {
		return v, err
	}
	count, err := c.uint64(key)
	if err != nil {
		return v, err
	}
	v = ggufValue{kind: ggufArray, of: ggufKind(kind)}
	size := uint64(8) // a string's length
	switch {
	case v.of == ggufArray || int(kind) >= len(ggufKinds):
		return v, &Error{Field: key, Want: "an array of numbers or strings", Got: "an array of " + v.of.String()}
	case v.of != ggufString:
		size = uint64(ggufKinds[v.of].size)
	}
	if left := uint64(len(c.data) - c.at); count > left/size {
		return v, &Error{Field: key, Want: fmt.Sprintf("an array that fits the %d bytes left", left), Got: fmt.Sprintf("%d of %s (truncated file?)", count, v.of)}
	}
	if count > maxElements {
		return v, &Error{Field: key, Want: fmt.Sprintf("an array of at most %d elements", maxElements), Got: fmt.Sprint(count)}
	}
	v.count = int(count)
	start := c.at
	if v.of != ggufString {
		_, err = c.take(count*size, key)
	}
	for i := 0; v.of == ggufString && i < v.count && err == nil; i++ {
		_, err = c.str(key)
	}
	v.data = c.data[start:c.at]
	return v, err
}

// text renders the value for people, clipped to what is worth keeping.
func (v ggufValue) text() string {
	const longest = 64 << 10
	switch v.kind {
	case ggufString:
		if len(v.data) > longest || !utf8.Valid(v.data) {
			return fmt.Sprintf("(%d bytes)", len(v.data))
		}
		return string(v.data)
	case ggufArray:
		return fmt.Sprintf("(%d of %s)", v.count, v.of)
	case ggufBool:
		return strconv.FormatBool(v.data[0] == 1)
	case ggufFloat32:
		return strconv.FormatFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(v.data))), 'g', -1, 32)
	case ggufFloat64:
		return strconv.FormatFloat(math.Float64frombits(binary.LittleEndian.Uint64(v.data)), 'g', -1, 64)
	}
	var word [8]byte
	copy(word[:], v.data)
	bits := binary.LittleEndian.Uint64(word[:])
	switch v.kind {
	case ggufInt8, ggufInt16, ggufInt32, ggufInt64:
		unused := 64 - 8*len(v.data)
		return strconv.FormatInt(int64(bits)<<unused>>unused, 10)
	}
	return strconv.FormatUint(bits, 10)
}

// natural returns the value of an integer that is not negative.
func (v ggufValue) natural() (uint64, bool) {
	switch v.kind {
	case ggufString, ggufArray, ggufBool, ggufFloat32, ggufFloat64:
		return 0, false
	}
	n, err := strconv.ParseUint(v.text(), 10, 64)
	return n, err == nil
}
