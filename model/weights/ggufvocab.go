package weights

import (
	"encoding/binary"
	"fmt"
	"regexp"
)

// Names and numbers of GGUF's tokenizer metadata.
const (
	ggufTokenizer   = "tokenizer.ggml.model"
	ggufTokens      = "tokenizer.ggml.tokens"
	ggufTokenTypes  = "tokenizer.ggml.token_type"
	ggufNormalToken = 1       // the token type of ordinary text
	maxTokens       = 1 << 20 // the World vocabulary has 2^16
	maxTokenText    = 16 << 20
)

// vocabulary returns the tokens of a World tokenizer by id, nil if the file has none. Without token types all are text.
// Token 0 may have a name there, which is for tokenizers to know. rows is the length of the
// embedding, -1 if unknown.
func (g *gguf) vocabulary(rows int) ([][]byte, error) {
	if v, ok := g.values[ggufTokenizer]; !ok || v.kind != ggufString || string(v.data) != "rwkv" {
		return nil, nil
	}
	tokens, ok := g.values[ggufTokens]
	switch {
	case !ok || tokens.kind != ggufArray || tokens.of != ggufString:
		return nil, &Error{Field: ggufTokens, Want: "an array of strings", Got: map[bool]string{true: tokens.text(), false: "none"}[ok]}
	case rows >= 0 && tokens.count != rows:
		return nil, &Error{Field: ggufTokens, Want: fmt.Sprintf("%d tokens, the rows of token_embd.weight", rows), Got: fmt.Sprint(tokens.count)}
	case tokens.count > maxTokens || len(tokens.data) > maxTokenText:
		return nil, &Error{Field: ggufTokens, Want: fmt.Sprintf("at most %d tokens in %d bytes", maxTokens, maxTokenText), Got: fmt.Sprintf("%d in %d", tokens.count, len(tokens.data))}
	}
	types, ok := g.values[ggufTokenTypes]
	if ok && (types.kind != ggufArray || types.of != ggufInt32 && types.of != ggufUint32 || types.count != tokens.count) {
		return nil, &Error{Field: ggufTokenTypes, Want: fmt.Sprintf("(%d of int32)", tokens.count), Got: types.text()}
	}
	out := make([][]byte, tokens.count)
	text := make([]byte, 0, len(tokens.data)) // of all tokens: unescaping never lengthens
	list := cursor{data: tokens.data}
	for id := range out {
		raw, err := list.str(ggufTokens)
		if err != nil {
			return nil, err // cannot be: the array was walked when it was read
		}
		if ok && binary.LittleEndian.Uint32(types.data[4*id:]) != ggufNormalToken || !ok && padding.Match(raw) {
			continue
		}
		start := len(text)
		if text, err = unescape(text, raw); err != nil {
			return nil, &Error{Field: fmt.Sprintf("%s[%d]", ggufTokens, id), Want: `two hexadecimal digits after \x and no lone \ at the end`, Got: fmt.Sprintf("%q", clip(string(raw)))}
		}
		if len(text) > start {
			out[id] = text[start:len(text):len(text)]
		}
	}
	return out, nil
}

// padding are the tokens that llama.cpp's converter adds where a model has more rows than its vocabulary tokens. Where
// a file has no token types, only their names tell.
var padding = regexp.MustCompile(`^\[PAD\d+\]$`)

var errEscape = fmt.Errorf("bad escape")

// unescape appends the bytes that a token's text stands for: llama.cpp's converter writes the inside of Python's
// repr(bytes), so \t \n \r \xNN, and \ before what else needs it.
func unescape(dst, text []byte) ([]byte, error) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\\' {
			if i++; i == len(text) {
				return dst, errEscape
			}
			switch c = text[i]; c {
			case 't':
				c = '\t'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 'x':
				if len(text)-i < 3 {
					return dst, errEscape
				}
				high, low := hexDigit(text[i+1]), hexDigit(text[i+2])
				if high < 0 || low < 0 {
					return dst, errEscape
				}
				c = byte(high<<4 | low)
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst, nil
}

// hexDigit returns the value of a hexadecimal digit, -1 for any other byte.
func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}
