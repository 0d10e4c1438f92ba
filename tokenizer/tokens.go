package tokenizer

import (
	"bytes"
	"fmt"
	"strconv"
)

// NewWorld builds a World tokenizer from the bytes of its tokens by id, as a model file may bring them; empty tokens
// are ids without text. Id 0, which ends a document, may have a name in angle brackets, which is not its text. name is
// the tokenizer's Name and stands for the file in errors, each of which is an [*Error]. tokens is not kept.
func NewWorld(name string, tokens [][]byte) (*World, error) {
	if len(tokens) > MaxID+1 {
		return nil, &Error{File: name, Field: "tokens", Want: fmt.Sprintf("at most %d", MaxID+1), Got: strconv.Itoa(len(tokens))}
	}
	v := vocabulary{file: name}
	seen := make(map[string]int, len(tokens))
	for id, token := range tokens {
		if len(token) == 0 || id == 0 && isName(token) {
			continue
		}
		field := fmt.Sprintf("token %d", id)
		if id == 0 {
			return nil, &Error{File: name, Field: field, Want: "none or a name such as <s>, since id 0 ends a document", Got: excerpt(token)}
		}
		if len(token) > MaxToken {
			return nil, &Error{File: name, Field: field, Want: fmt.Sprintf("at most %d bytes", MaxToken), Got: strconv.Itoa(len(token))}
		}
		if first, ok := seen[string(token)]; ok {
			return nil, &Error{File: name, Field: field, Want: "each token once", Got: fmt.Sprintf("%s, which id %d has", excerpt(token), first)}
		}
		seen[string(token)] = id
		start := len(v.text)
		v.text = append(v.text, token...)
		v.entries = append(v.entries, entry{id: uint32(id), start: uint32(start), end: uint32(len(v.text))})
	}
	return v.world(name)
}

// isName reports whether a token is written like a token without text: <s>, <|endoftext|>.
func isName(token []byte) bool {
	return len(token) > 2 && token[0] == '<' && token[len(token)-1] == '>' && !bytes.ContainsAny(token, " \t\r\n")
}
