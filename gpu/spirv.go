package gpu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// module is what a kernel must know of its SPIR-V before the driver sees it: some drivers die
// on what they do not support.
type module struct {
	version      uint32 // as in the header
	capabilities []uint32
	local        [3]int
	shared       int                 // bytes of workgroup memory; 0 if it cannot be told
	bindings     map[int]BindingKind // descriptor set 0
	aliased      map[int]bool        // bindings that may share memory with others
}

// SPIR-V numbers used below, from the SPIR-V specification's tables.
const (
	spirvMagic = 0x07230203

	opEntryPoint, opExecutionMode, opCapability                                = 15, 16, 17
	opTypeBool, opTypeInt, opTypeFloat, opTypeVector, opTypeMatrix             = 20, 21, 22, 23, 24
	opTypeImage, opTypeArray, opTypeStruct, opTypePointer                      = 25, 28, 30, 32
	opConstant, opConstantComposite, opSpecConstant, opSpecComposite, opSpecOp = 43, 44, 50, 51, 52
	opVariable, opDecorate                                                     = 59, 71

	decSpecID, decBuiltIn, decAliased, decBinding, decSet = 1, 11, 20, 33, 34
	builtInWorkgroupSize                                  = 25
	modeLocalSize, modeLocalSizeID                        = 17, 38
	classUniformConstant, classUniform                    = 0, 2
	dimBuffer, imageSampled                               = 5, 1 // of opTypeImage
	classWorkgroup, classStorage                          = 4, 12
)

type spirvParser struct {
	m         module
	spec      []uint32
	hasMain   bool
	value     map[uint32]uint32   // scalar constants, specialized
	composite map[uint32][]uint32 // constant vectors
	specID    map[uint32]uint32
	binding   map[uint32]uint32
	set       map[uint32]uint32
	aliased   map[uint32]bool
	sizeID    uint32              // constant decorated WorkgroupSize
	localIDs  []uint32            // of LocalSizeId
	types     map[uint32][]uint32 // id: opcode, operands
	variables [][3]uint32         // type, id, storage class
}

var errSPIRV = errors.New("not valid SPIR-V")

// parseModule reads a compute module with spec as its specialization constants 0..n-1.
func parseModule(code []byte, spec []uint32) (module, error) {
	if len(code) < 20 || len(code)%4 != 0 || binary.LittleEndian.Uint32(code) != spirvMagic {
		return module{}, fmt.Errorf("%w: no SPIR-V header in %d bytes", errSPIRV, len(code))
	}
	words := make([]uint32, len(code)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(code[4*i:])
	}
	p := &spirvParser{spec: spec, value: map[uint32]uint32{}, composite: map[uint32][]uint32{}, specID: map[uint32]uint32{},
		binding: map[uint32]uint32{}, set: map[uint32]uint32{}, types: map[uint32][]uint32{}, aliased: map[uint32]bool{}}
	p.m.version = words[1]
	p.m.bindings, p.m.aliased = map[int]BindingKind{}, map[int]bool{}
	for at := 5; at < len(words); {
		n := int(words[at] >> 16)
		if n == 0 || at+n > len(words) {
			return module{}, fmt.Errorf("%w: instruction at word %d runs over the end", errSPIRV, at)
		}
		if err := p.instruction(words[at]&0xffff, words[at+1:at+n]); err != nil {
			return module{}, fmt.Errorf("%w at word %d", err, at)
		}
		at += n
	}
	if !p.hasMain {
		return module{}, fmt.Errorf("%w: no compute entry point \"main\"", errSPIRV)
	}
	return p.m, p.finish()
}

// least operands of the instructions read.
var leastOperands = map[uint32]int{opEntryPoint: 3, opExecutionMode: 2, opCapability: 1, opTypeBool: 1, opTypeInt: 3, opTypeFloat: 2,
	opTypeVector: 3, opTypeMatrix: 3, opTypeImage: 8, opTypeArray: 3, opTypeStruct: 1, opTypePointer: 3,
	opConstant: 3, opConstantComposite: 2, opSpecConstant: 3, opSpecComposite: 2, opSpecOp: 3, opVariable: 3, opDecorate: 2}

func (p *spirvParser) instruction(op uint32, w []uint32) error {
	if len(w) < leastOperands[op] {
		return errSPIRV
	}
	switch op {
	case opCapability:
		p.m.capabilities = append(p.m.capabilities, w[0])
	case opEntryPoint:
		p.hasMain = p.hasMain || w[0] == 5 && literal(w[2:]) == "main"
	case opExecutionMode:
		if len(w) >= 5 && w[1] == modeLocalSize {
			p.m.local = [3]int{int(w[2]), int(w[3]), int(w[4])}
		} else if len(w) >= 5 && w[1] == modeLocalSizeID {
			p.localIDs = w[2:5]
		}
	case opDecorate:
		p.decorate(w)
	case opConstant:
		p.value[w[1]] = w[2]
	case opSpecConstant:
		p.value[w[1]] = w[2]
		if id, ok := p.specID[w[1]]; ok && int(id) < len(p.spec) {
			p.value[w[1]] = p.spec[id]
		}
	case opConstantComposite, opSpecComposite:
		p.composite[w[1]] = w[2:]
	case opSpecOp:
		p.specOp(w)
	case opTypeBool, opTypeInt, opTypeFloat, opTypeVector, opTypeMatrix, opTypeImage, opTypeArray, opTypeStruct, opTypePointer:
		p.types[w[0]] = append([]uint32{op}, w[1:]...)
	case opVariable:
		p.variables = append(p.variables, [3]uint32{w[0], w[1], w[2]})
	}
	return nil
}

func (p *spirvParser) decorate(w []uint32) {
	if w[1] == decAliased {
		p.aliased[w[0]] = true
	}
	if len(w) < 3 {
		return
	}
	switch w[1] {
	case decSpecID:
		p.specID[w[0]] = w[2]
	case decBinding:
		p.binding[w[0]] = w[2]
	case decSet:
		p.set[w[0]] = w[2]
	case decBuiltIn:
		if w[2] == builtInWorkgroupSize {
			p.sizeID = w[0]
		}
	}
}

// specOp folds the arithmetic that array lengths are made of.
func (p *spirvParser) specOp(w []uint32) {
	if len(w) != 5 {
		return
	}
	a, okA := p.value[w[3]]
	b, okB := p.value[w[4]]
	if !okA || !okB {
		return
	}
	switch w[2] {
	case 128:
		p.value[w[1]] = a + b
	case 130:
		p.value[w[1]] = a - b
	case 132:
		p.value[w[1]] = a * b
	case 134:
		if b != 0 {
			p.value[w[1]] = a / b
		}
	}
}

func (p *spirvParser) finish() error {
	ids := p.localIDs
	if p.sizeID != 0 { // overrides LocalSize
		ids = p.composite[p.sizeID]
	}
	if len(ids) == 3 {
		for i, id := range ids {
			p.m.local[i] = int(p.value[id])
		}
	}
	shared, known := 0, true
	for _, v := range p.variables {
		ptr := p.types[v[0]]
		if len(ptr) != 3 || ptr[0] != opTypePointer {
			return fmt.Errorf("%w: variable %d is no pointer", errSPIRV, v[1])
		}
		switch v[2] {
		case classWorkgroup:
			n, ok := p.sizeOf(ptr[2], 0)
			shared, known = shared+n, known && ok
		case classStorage, classUniform, classUniformConstant:
			if err := p.bind(v[1], ptr[2], v[2]); err != nil {
				return err
			}
		}
	}
	if known {
		p.m.shared = shared
	}
	return nil
}

func (p *spirvParser) bind(id, typ, class uint32) error {
	b, ok := p.binding[id]
	if !ok {
		return nil
	}
	if p.set[id] != 0 {
		return fmt.Errorf("binding %d is in descriptor set %d, want 0", b, p.set[id])
	}
	kind := StorageBuffer
	if class == classUniformConstant {
		if t := p.types[typ]; len(t) == 0 || t[0] != opTypeImage || t[2] != dimBuffer || t[6] != imageSampled {
			return fmt.Errorf("binding %d is neither a storage buffer nor a texel buffer", b)
		}
		kind = UniformTexel
	}
	p.m.bindings[int(b)] = kind
	p.m.aliased[int(b)] = p.aliased[id]
	return nil
}

// sizeOf returns the bytes a type takes in workgroup memory, near enough to check a limit.
func (p *spirvParser) sizeOf(id uint32, depth int) (int, bool) {
	t := p.types[id]
	if len(t) == 0 || depth > 16 {
		return 0, false
	}
	switch t[0] {
	case opTypeBool:
		return 4, true
	case opTypeInt, opTypeFloat:
		return int(t[1]) / 8, true
	case opTypeVector, opTypeMatrix:
		n, ok := p.sizeOf(t[1], depth+1)
		return n * int(t[2]), ok
	case opTypeArray:
		n, ok := p.sizeOf(t[1], depth+1)
		count, known := p.value[t[2]]
		return n * int(count), ok && known
	case opTypeStruct:
		sum := 0
		for _, member := range t[1:] {
			n, ok := p.sizeOf(member, depth+1)
			if !ok {
				return 0, false
			}
			sum += n
		}
		return sum, true
	}
	return 0, false
}

// literal reads a null-terminated string.
func literal(w []uint32) string {
	var s []byte
	for _, x := range w {
		for i := 0; i < 4; i++ {
			c := byte(x >> (8 * i))
			if c == 0 {
				return string(s)
			}
			if s = append(s, c); len(s) > 64 || !utf8.RuneStart(c) {
				return ""
			}
		}
	}
	return ""
}
