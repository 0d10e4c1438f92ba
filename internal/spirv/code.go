package spirv

import (
	"encoding/binary"
	"fmt"
)

const (
	magic       = 0x07230203
	headerWords = 5
	versionWord = 1 // of the header
	boundWord   = 3 // likewise: one more than the largest id
)

// Instruction is an instruction's operands with its number, of which the word that holds its length is no part.
type Instruction struct {
	Op   uint32
	Args []uint32
}

// Code is a module as the instructions that it is made of.
type Code struct {
	Header       [headerWords]uint32
	Instructions []Instruction
}

// Decode splits a module into its instructions. Each of those whose operands are looked into here has as many as that
// takes.
func Decode(module []byte) (c Code, err error) {
	c.Instructions = make([]Instruction, 0, len(module)/16) // most have some operands
	c.Header, err = walk(module, func(in Instruction) error {
		c.Instructions = append(c.Instructions, in)
		return nil
	})
	if err != nil {
		return Code{}, fmt.Errorf("spirv: %w", err)
	}
	return c, nil
}

// walk visits all instructions of a module, until visit returns an error.
func walk(module []byte, visit func(in Instruction) error) (header [headerWords]uint32, err error) {
	if len(module) < 4*headerWords || len(module)%4 != 0 {
		return header, fmt.Errorf("length: want whole words and a header of %d of them, got %d bytes", headerWords, len(module))
	}
	words := make([]uint32, len(module)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(module[4*i:])
	}
	if words[0] != magic {
		return header, fmt.Errorf("magic number: want %#08x, got %#08x", magic, words[0])
	}
	copy(header[:], words)
	for at := headerWords; at < len(words); {
		n, op := int(words[at]>>16), words[at]&0xffff
		if n == 0 || n > len(words)-at {
			return header, fmt.Errorf("instruction at word %d: length: want 1 to %d, got %d", at, len(words)-at, n)
		}
		if least := int(leastArgs[op]); n-1 < least {
			return header, fmt.Errorf("instruction at word %d: operands of opcode %d: want %d or more, got %d", at, op, least, n-1)
		}
		if err := visit(Instruction{op, words[at+1 : at+n : at+n]}); err != nil {
			return header, fmt.Errorf("instruction at word %d: %w", at, err)
		}
		at += n
	}
	return header, nil
}

// Declared returns the capabilities that a module declares, which stand before all else: it reads no more of it.
func Declared(module []byte) (list []Capability) {
	for at := 4 * headerWords; at+8 <= len(module); at += 8 {
		if binary.LittleEndian.Uint32(module[at:]) != 2<<16|opCapability {
			break
		}
		list = append(list, Capability(binary.LittleEndian.Uint32(module[at+4:])))
	}
	return list
}

// Encode returns the module of the instructions.
func (c *Code) Encode() []byte {
	size := len(c.Header)
	for _, in := range c.Instructions {
		size += 1 + len(in.Args)
	}
	out := make([]byte, 0, 4*size)
	for _, w := range c.Header {
		out = binary.LittleEndian.AppendUint32(out, w)
	}
	for _, in := range c.Instructions {
		out = binary.LittleEndian.AppendUint32(out, uint32(len(in.Args)+1)<<16|in.Op)
		for _, w := range in.Args {
			out = binary.LittleEndian.AppendUint32(out, w)
		}
	}
	return out
}

// maxText bounds names in bytes; the rest of a longer one is dropped.
const maxText = 256

// text decodes a literal string: UTF-8, four bytes a word, up to the first zero byte or the last word.
func text(words []uint32) string {
	var b []byte
	for _, w := range words[:min(len(words), maxText/4)] {
		for range 4 {
			if byte(w) == 0 {
				return string(b)
			}
			b = append(b, byte(w))
			w >>= 8
		}
	}
	return string(b)
}

// literal encodes a string: four bytes a word, zero at the end.
func literal(s string) []uint32 {
	b := append([]byte(s), make([]byte, 4-len(s)%4)...)
	words := make([]uint32, len(b)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	return words
}
