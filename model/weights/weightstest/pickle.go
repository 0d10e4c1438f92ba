package weightstest

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// Tuple is a tuple. With the types below it is what Pickle writes, beside nil, bool, int, float64, string and []any (a
// list).
type Tuple []any

// Pair is a key and its value.
type Pair [2]any

// Dict is a dict, in order.
type Dict []Pair

// Ordered is an OrderedDict.
type Ordered Dict

// Global is a function or class, as "module name".
type Global string

// Call is what Func makes of Args.
type Call struct {
	Func any
	Args Tuple
}

// Persistent is a reference to something outside the pickle.
type Persistent struct{ ID any }

// State is Value after its attributes were set from Dict.
type State struct{ Value, Dict any }

// Long is a little-endian two's complement number of any length below 256 bytes.
type Long []byte

// Ref is Value, written once and looked up in the memo afterwards.
type Ref struct{ Value *any }

// Pickle returns v as a pickle of protocol 2 to 5, with the opcodes Python's pickler chooses: from 4 on in a frame,
// with MEMOIZE and STACK_GLOBAL. It panics on a value of another type.
func Pickle(protocol int, v any) []byte {
	p := pickler{protocol: protocol, memo: map[*any]int{}}
	p.value(v)
	p.op('.')
	out := []byte{0x80, byte(protocol)}
	if protocol >= 4 {
		out = binary.LittleEndian.AppendUint64(append(out, 0x95), uint64(len(p.out)))
	}
	return append(out, p.out...)
}

type pickler struct {
	protocol int
	out      []byte
	memo     map[*any]int
	slots    int
}

func (p *pickler) op(b ...byte) { p.out = append(p.out, b...) }

// put stores the top of the stack in the next memo slot and returns its number.
func (p *pickler) put() int {
	slot := p.slots
	p.slots++
	switch {
	case p.protocol >= 4:
		p.op(0x94)
	case slot < 256:
		p.op('q', byte(slot))
	default:
		p.op('r')
		p.out = binary.LittleEndian.AppendUint32(p.out, uint32(slot))
	}
	return slot
}

func (p *pickler) get(slot int) {
	if slot < 256 {
		p.op('h', byte(slot))
		return
	}
	p.op('j')
	p.out = binary.LittleEndian.AppendUint32(p.out, uint32(slot))
}

func (p *pickler) value(v any) {
	switch v := v.(type) {
	case nil:
		p.op('N')
	case bool:
		p.op(map[bool]byte{true: 0x88, false: 0x89}[v])
	case int:
		p.integer(v)
	case Long:
		p.op(0x8a, byte(len(v)))
		p.op(v...)
	case float64:
		p.op('G')
		p.out = binary.BigEndian.AppendUint64(p.out, math.Float64bits(v))
	case string:
		p.text(v)
	case []any:
		p.op(']')
		p.put()
		p.op('(')
		for _, x := range v {
			p.value(x)
		}
		p.op('e')
	case Tuple:
		p.tuple(v)
	case Dict:
		p.op('}')
		p.put()
		p.items(v)
	case Ordered:
		p.object(Call{Func: Global("collections OrderedDict")})
		p.put()
		p.items(Dict(v))
	case Ref:
		if slot, ok := p.memo[v.Value]; ok {
			p.get(slot)
			return
		}
		p.value(*v.Value)
		p.memo[v.Value] = p.put()
	default:
		p.object(v)
	}
}

func (p *pickler) object(v any) {
	switch v := v.(type) {
	case Global:
		module, name, _ := strings.Cut(string(v), " ")
		if p.protocol >= 4 {
			p.text(module)
			p.text(name)
			p.op(0x93)
		} else {
			p.op([]byte("c" + module + "\n" + name + "\n")...)
		}
	case Call:
		p.value(v.Func)
		p.tuple(v.Args)
		p.op('R')
	case Persistent:
		p.value(v.ID)
		p.op('Q')
	case State:
		p.value(v.Value)
		p.value(v.Dict)
		p.op('b')
	default:
		panic(fmt.Sprintf("weightstest: pickle of %T", v))
	}
}

func (p *pickler) items(d Dict) {
	p.op('(')
	for _, x := range d {
		p.value(x[0])
		p.value(x[1])
	}
	p.op('u')
}

func (p *pickler) tuple(t Tuple) {
	if len(t) == 0 {
		p.op(')')
		return
	}
	if len(t) > 3 {
		p.op('(')
	}
	for _, x := range t {
		p.value(x)
	}
	p.op([]byte{0, 0x85, 0x86, 0x87, 't'}[min(len(t), 4)])
}

func (p *pickler) integer(n int) {
	switch {
	case n >= 0 && n < 1<<8:
		p.op('K', byte(n))
	case n >= 0 && n < 1<<16:
		p.op('M', byte(n), byte(n>>8))
	case n >= math.MinInt32 && n <= math.MaxInt32:
		p.op('J')
		p.out = binary.LittleEndian.AppendUint32(p.out, uint32(n))
	default:
		p.op(0x8a, 8)
		p.out = binary.LittleEndian.AppendUint64(p.out, uint64(n))
	}
}

func (p *pickler) text(s string) {
	if p.protocol >= 4 && len(s) < 256 {
		p.op(0x8c, byte(len(s)))
	} else {
		p.op('X')
		p.out = binary.LittleEndian.AppendUint32(p.out, uint32(len(s)))
	}
	p.op([]byte(s)...)
}
