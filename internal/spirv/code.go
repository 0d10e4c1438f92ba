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

// Decode splits a module into its instructions. Each of those whose operands are looked into here has as many as that takes.
func Decode(module []byte) (Code, error) {
	c, err := decode(module)
	if err != nil {
		return Code{}, fmt.Errorf("spirv: %w", err)
	}
	return c, nil
}

func decode(module []byte) (c Code, err error) {
	if len(module) < 4*headerWords || len(module)%4 != 0 {
		return c, fmt.Errorf("length: want whole words and a header of %d of them, got %d bytes", headerWords, len(module))
	}
	words := make([]uint32, len(module)/4)
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(module[4*i:])
	}
	if words[0] != magic {
		return c, fmt.Errorf("magic number: want %#08x, got %#08x", magic, words[0])
	}
	copy(c.Header[:], words)
	for at := headerWords; at < len(words); {
		n, op := int(words[at]>>16), words[at]&0xffff
		if n == 0 || n > len(words)-at {
			return c, fmt.Errorf("instruction at word %d: length: want 1 to %d, got %d", at, len(words)-at, n)
		}
		if least := leastArgs[op]; n-1 < least {
			return c, fmt.Errorf("instruction at word %d: operands of opcode %d: want %d or more, got %d", at, op, least, n-1)
		}
		c.Instructions = append(c.Instructions, Instruction{op, words[at+1 : at+n : at+n]})
		at += n
	}
	return c, nil
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

// Has reports whether the module declares a capability.
func (c *Code) Has(of Capability) bool {
	for _, in := range c.Instructions {
		if in.Op == opCapability && Capability(in.Args[0]) == of {
			return true
		}
	}
	return false
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
