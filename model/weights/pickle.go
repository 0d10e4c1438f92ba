package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
)

// Limits on a pickle. A state dict takes about 30 values per tensor, so the second leaves room for many times the
// largest published model with its optimizer, and keeps what a hostile pickle can claim at some tens of MiB.
const (
	maxPickle = 16 << 20 // bytes
	maxValues = 1 << 19  // values pushed on the stack, and also memo slots
)

// unpickler runs a pickle, which is a program for a stack machine. It builds only the values of pickle_values.go. No
// opcode recurses, names of globals are only compared, and nothing is ever imported, called or executed.
type unpickler struct {
	data   []byte
	cut    bool // data is not all there is
	at     int
	op     byte
	opAt   int // where op stands
	stack  []any
	marks  []int // heights of the stack at each open MARK
	memo   []any // nil where not set
	pushed int
	done   bool

	storages []*torchStorage // all that were named
}

// unpickle runs the pickle at the start of data. Its value is then stack[0], and its length at. Strings in the value
// alias data.
func unpickle(data []byte) (*unpickler, error) {
	u := &unpickler{data: data[:min(len(data), maxPickle)], cut: len(data) > maxPickle}
	if len(data) < 2 || data[0] != 0x80 || data[1] < 2 || data[1] > 5 {
		return nil, &Error{Field: "pickle", Want: "a pickle of protocol 2 to 5", Got: fmt.Sprintf("one that begins % x", data[:min(len(data), 2)])}
	}
	for !u.done {
		if err := u.step(); err != nil {
			return nil, err
		}
	}
	return u, nil
}

func (u *unpickler) step() error {
	u.opAt = u.at
	u.op = '.' // what is missing if nothing is left
	op, err := u.take(1)
	if err != nil {
		return err
	}
	u.op = op[0]
	run := opcodes[u.op]
	if run == nil {
		name := opcodeNames[u.op]
		if name == "" {
			return &Error{Field: "pickle", Want: "an opcode", Got: fmt.Sprintf("byte 0x%02x at byte %d", u.op, u.opAt)}
		}
		return &Error{Field: "pickle", Want: "only opcodes that build tensors, dicts, lists, tuples, strings and numbers", Got: fmt.Sprintf("opcode %s at byte %d: refused", name, u.opAt)}
	}
	return run(u)
}

// opcodes are those that may run. The others in opcodeNames are refused by name.
var opcodes = map[byte]func(*unpickler) error{
	0x80: (*unpickler).proto,
	0x95: func(u *unpickler) error { _, err := u.take(8); return err }, // FRAME: a hint for buffered readers
	'.':  (*unpickler).stop,
	'(':  (*unpickler).mark,
	'N':  constant(none{}),
	0x88: constant(true),
	0x89: constant(false),
	'K':  integer(1), 'M': integer(2), 'J': integer(4),
	0x8a: long(1), 0x8b: long(4),
	'G': (*unpickler).float,
	'U': text(1), 'T': text(4), 'X': text(4), 0x8c: text(1), 0x8d: text(8), // strings
	'C': text(1), 'B': text(4), 0x8e: text(8), // bytes
	')':  constant(tuple(nil)),
	0x85: tupleOf(1), 0x86: tupleOf(2), 0x87: tupleOf(3),
	't': (*unpickler).tuple,
	']': func(u *unpickler) error { return u.push(&list{}) },
	'a': (*unpickler).appendOne, 'e': (*unpickler).appendMany,
	'}': func(u *unpickler) error { return u.push(&dict{}) },
	's': (*unpickler).setItem, 'u': (*unpickler).setItems,
	'q': put(1), 'r': put(4), 0x94: (*unpickler).memoize,
	'h': get(1), 'j': get(4),
	'c': (*unpickler).global, 0x93: (*unpickler).stackGlobal,
	'Q': (*unpickler).persistent,
	'R': (*unpickler).reduce, 0x81: (*unpickler).newObject,
	'b': (*unpickler).build,
}

// opcodeNames are the names of all opcodes of protocols 0 to 5.
var opcodeNames = map[byte]string{
	'(': "MARK", '.': "STOP", '0': "POP", '1': "POP_MARK", '2': "DUP", 'F': "FLOAT", 'I': "INT", 'J': "BININT", 'K': "BININT1",
	'L': "LONG", 'M': "BININT2", 'N': "NONE", 'P': "PERSID", 'Q': "BINPERSID", 'R': "REDUCE", 'S': "STRING", 'T': "BINSTRING",
	'U': "SHORT_BINSTRING", 'V': "UNICODE", 'X': "BINUNICODE", 'a': "APPEND", 'b': "BUILD", 'c': "GLOBAL", 'd': "DICT",
	'}': "EMPTY_DICT", 'e': "APPENDS", 'g': "GET", 'h': "BINGET", 'i': "INST", 'j': "LONG_BINGET", 'l': "LIST", ']': "EMPTY_LIST",
	'o': "OBJ", 'p': "PUT", 'q': "BINPUT", 'r': "LONG_BINPUT", 's': "SETITEM", 't': "TUPLE", ')': "EMPTY_TUPLE", 'u': "SETITEMS",
	'G': "BINFLOAT", 0x80: "PROTO", 0x81: "NEWOBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x85: "TUPLE1", 0x86: "TUPLE2",
	0x87: "TUPLE3", 0x88: "NEWTRUE", 0x89: "NEWFALSE", 0x8a: "LONG1", 0x8b: "LONG4", 'B': "BINBYTES", 'C': "SHORT_BINBYTES",
	0x8c: "SHORT_BINUNICODE", 0x8d: "BINUNICODE8", 0x8e: "BINBYTES8", 0x8f: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET",
	0x92: "NEWOBJ_EX", 0x93: "STACK_GLOBAL", 0x94: "MEMOIZE", 0x95: "FRAME", 0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER",
	0x98: "READONLY_BUFFER",
}

// fail returns an error about the opcode at hand.
func (u *unpickler) fail(want, got string) error {
	return &Error{Field: "pickle", Want: want, Got: fmt.Sprintf("%s for %s at byte %d", clip(got), opcodeNames[u.op], u.opAt)}
}

// take returns the next n bytes.
func (u *unpickler) take(n uint64) ([]byte, error) {
	if room := uint64(len(u.data) - u.at); n > room {
		if u.cut {
			return nil, &Error{Field: "pickle", Want: fmt.Sprintf("at most %d bytes", maxPickle), Got: "more"}
		}
		return nil, u.fail(fmt.Sprintf("%d more bytes", n), fmt.Sprintf("%d (truncated file?)", room))
	}
	b := u.data[u.at : u.at+int(n)]
	u.at += int(n)
	return b, nil
}

// number returns the next size bytes as an unsigned number.
func (u *unpickler) number(size int) (uint64, error) {
	b, err := u.take(uint64(size))
	if err != nil {
		return 0, err
	}
	return littleEndian(b), nil
}

func littleEndian(b []byte) (n uint64) {
	for i, x := range b {
		n |= uint64(x) << (8 * i)
	}
	return n
}

// line returns the bytes up to the next line feed.
func (u *unpickler) line() ([]byte, error) {
	n := bytes.IndexByte(u.data[u.at:min(len(u.data), u.at+maxName)], '\n')
	if n < 0 {
		return nil, u.fail(fmt.Sprintf("a line of at most %d bytes", maxName), "none")
	}
	b, err := u.take(uint64(n) + 1)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}

func (u *unpickler) push(v any) error {
	if u.pushed++; u.pushed > maxValues {
		return u.fail(fmt.Sprintf("at most %d values", maxValues), "more")
	}
	u.stack = append(u.stack, v)
	return nil
}

// pop takes the last n values from the stack, not reaching below the last mark. The slice is valid until the next push.
func (u *unpickler) pop(n int) ([]any, error) {
	floor := 0
	if len(u.marks) > 0 {
		floor = u.marks[len(u.marks)-1]
	}
	if have := len(u.stack) - floor; have < n {
		return nil, u.fail(fmt.Sprintf("%d values on the stack", n), fmt.Sprint(have))
	}
	at := len(u.stack) - n
	values := u.stack[at:]
	u.stack = u.stack[:at]
	return values, nil
}

// popMark takes the values since the last mark, and the mark. The slice is valid until the next push.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, u.fail("a MARK before it", "none")
	}
	at := u.marks[len(u.marks)-1]
	u.marks = u.marks[:len(u.marks)-1]
	values := u.stack[at:]
	u.stack = u.stack[:at]
	return values, nil
}

// top returns the last value without taking it.
func (u *unpickler) top() (any, error) {
	values, err := u.pop(1)
	if err != nil {
		return nil, err
	}
	u.stack = u.stack[:len(u.stack)+1]
	return values[0], nil
}

func (u *unpickler) proto() error {
	n, err := u.number(1)
	if err == nil && (n < 2 || n > 5) {
		return u.fail("protocol 2 to 5", fmt.Sprint(n))
	}
	return err
}

func (u *unpickler) stop() error {
	if len(u.stack) != 1 || len(u.marks) != 0 {
		return u.fail("one value", fmt.Sprintf("%d and %d open marks", len(u.stack), len(u.marks)))
	}
	u.done = true
	return nil
}

func (u *unpickler) mark() error {
	if u.pushed++; u.pushed > maxValues {
		return u.fail(fmt.Sprintf("at most %d values", maxValues), "more")
	}
	u.marks = append(u.marks, len(u.stack))
	return nil
}

func constant(v any) func(*unpickler) error {
	return func(u *unpickler) error { return u.push(v) }
}

// integer reads BININT, which is signed, and its two shorter unsigned forms.
func integer(size int) func(*unpickler) error {
	return func(u *unpickler) error {
		n, err := u.number(size)
		if err != nil {
			return err
		}
		if size == 4 {
			return u.push(int64(int32(uint32(n))))
		}
		return u.push(int64(n))
	}
}

// long reads a two's complement number of any length behind a length of size bytes.
func long(size int) func(*unpickler) error {
	return func(u *unpickler) error {
		n, err := u.number(size)
		if err != nil {
			return err
		}
		b, err := u.take(n)
		if err != nil {
			return err
		}
		if len(b) > 8 {
			return u.push(bigint(b))
		}
		v := littleEndian(b)
		if shift := 64 - 8*len(b); len(b) > 0 {
			return u.push(int64(v<<shift) >> shift)
		}
		return u.push(int64(0))
	}
}

func (u *unpickler) float() error {
	b, err := u.take(8)
	if err != nil {
		return err
	}
	return u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
}

// text reads a string behind a length of size bytes.
func text(size int) func(*unpickler) error {
	return func(u *unpickler) error {
		n, err := u.number(size)
		if err != nil {
			return err
		}
		b, err := u.take(n)
		if err != nil {
			return err
		}
		return u.push(str(b))
	}
}

func put(size int) func(*unpickler) error {
	return func(u *unpickler) error {
		i, err := u.number(size)
		if err != nil {
			return err
		}
		return u.remember(i)
	}
}

func (u *unpickler) memoize() error { return u.remember(uint64(len(u.memo))) }

// remember stores the top of the stack in memo slot i.
func (u *unpickler) remember(i uint64) error {
	v, err := u.top()
	if err != nil {
		return err
	}
	if i >= maxValues {
		return u.fail(fmt.Sprintf("at most %d memo slots", maxValues), fmt.Sprintf("slot %d", i))
	}
	if grow := int(i) + 1 - len(u.memo); grow > 0 {
		u.memo = append(u.memo, make([]any, grow)...)
	}
	u.memo[i] = v
	return nil
}

func get(size int) func(*unpickler) error {
	return func(u *unpickler) error {
		i, err := u.number(size)
		if err != nil {
			return err
		}
		if i >= uint64(len(u.memo)) || u.memo[i] == nil {
			return u.fail("a memo slot that was set", fmt.Sprintf("slot %d", i))
		}
		return u.push(u.memo[i])
	}
}
