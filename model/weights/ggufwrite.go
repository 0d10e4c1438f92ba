package weights

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Annotation is an entry of a GGUF file's metadata. Value is a string, uint32, float32, []string or []int32.
type Annotation struct {
	Key   string
	Value any
}

// ggufAlign is the alignment of tensors in the GGUF files that are written, which is what readers assume.
const ggufAlign = 32

// GGUF returns a GGUF file of version 3 with annotations and tensors, both in their order.
func GGUF(annotations []Annotation, tensors []Stored) *Output {
	numbers := make(map[tensor.Type]uint32, len(ggufTypes))
	for n, t := range ggufTypes {
		numbers[t] = n
	}
	le := binary.LittleEndian
	h := le.AppendUint32([]byte("GGUF"), 3)
	h = le.AppendUint64(h, uint64(len(tensors)))
	h = le.AppendUint64(h, uint64(len(annotations)))
	for _, a := range annotations {
		h = appendGGUFValue(appendGGUFString(h, a.Key), a.Value)
	}
	o := &Output{Format: ggufFormat, Tensors: tensors, align: ggufAlign}
	at := 0
	for i := range tensors {
		s := &tensors[i]
		h = le.AppendUint32(appendGGUFString(h, s.Name), uint32(len(s.Shape)))
		for d := len(s.Shape) - 1; d >= 0; d-- {
			h = le.AppendUint64(h, uint64(s.Shape[d]))
		}
		h = le.AppendUint64(le.AppendUint32(h, numbers[s.As]), uint64(at))
		at += o.padded(s)
	}
	h = append(h, make([]byte, -len(h)&(ggufAlign-1))...)
	o.header = h
	return o
}

func appendGGUFString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// appendGGUFValue appends the kind and bytes of an annotation's value.
func appendGGUFValue(b []byte, value any) []byte {
	le := binary.LittleEndian
	array := func(of ggufKind, n int) []byte {
		b = le.AppendUint32(le.AppendUint32(b, uint32(ggufArray)), uint32(of))
		return le.AppendUint64(b, uint64(n))
	}
	switch v := value.(type) {
	case string:
		return appendGGUFString(le.AppendUint32(b, uint32(ggufString)), v)
	case uint32:
		return le.AppendUint32(le.AppendUint32(b, uint32(ggufUint32)), v)
	case float32:
		return le.AppendUint32(le.AppendUint32(b, uint32(ggufFloat32)), math.Float32bits(v))
	case []string:
		b = array(ggufString, len(v))
		for _, s := range v {
			b = appendGGUFString(b, s)
		}
	case []int32:
		b = array(ggufInt32, len(v))
		for _, n := range v {
			b = le.AppendUint32(b, uint32(n))
		}
	default:
		panic(fmt.Sprintf("weights: a GGUF annotation of type %T", value)) // none is made of data
	}
	return b
}

// Token types of GGUF's vocabularies.
const (
	ggufControlToken = 3
	ggufUnusedToken  = 5
)

// VocabularyAnnotations returns what a GGUF file says of a World tokenizer, in the way of llama.cpp's converter. tokens
// are the bytes of each id, as long as the embedding has rows; ids without are id 0, which ends a document, and ids
// that the vocabulary leaves out. A model of bytes has all its 256.
func VocabularyAnnotations(tokens [][]byte) []Annotation {
	texts, types := make([]string, len(tokens)), make([]int32, len(tokens))
	var turn uint32 // the id that ends a turn of a chat, 0 if there is none
	for id, token := range tokens {
		switch {
		case len(token) > 0:
			texts[id], types[id] = escape(token), ggufNormalToken
			if string(token) == "\n\n" {
				turn = uint32(id)
			}
		case id == 0:
			texts[id], types[id] = "<s>", ggufControlToken
		default:
			texts[id], types[id] = fmt.Sprintf("[PAD%d]", id), ggufUnusedToken
		}
	}
	return []Annotation{
		{ggufTokenizer, "rwkv"}, {ggufTokens, texts}, {ggufTokenTypes, types},
		{"tokenizer.ggml.bos_token_id", uint32(0)}, {"tokenizer.ggml.eos_token_id", uint32(0)}, {"tokenizer.ggml.eot_token_id", turn},
	}
}

// escape is the inverse of unescape: the inside of Python's repr(bytes), which puts a backslash before an apostrophe
// only in a token that has quotation marks of both kinds.
func escape(token []byte) string {
	var single, double bool
	for _, c := range token {
		single, double = single || c == '\'', double || c == '"'
	}
	const digits = "0123456789abcdef"
	out := make([]byte, 0, len(token))
	for _, c := range token {
		switch {
		case c == '\t':
			out = append(out, `\t`...)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c == '\\' || c == '\'' && single && double:
			out = append(out, '\\', c)
		case c < ' ' || c > '~':
			out = append(out, '\\', 'x', digits[c>>4], digits[c&15])
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
