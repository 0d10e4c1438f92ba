package main

import (
	"fmt"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// numbers is the tokenizer of a model that has no vocabulary: a token's text is its id and a space. It encodes nothing.
type numbers struct{ size int }

var _ tokenizer.Tokenizer = numbers{}

func (n numbers) Name() string { return fmt.Sprintf("%d ids without a vocabulary", n.size) }

func (n numbers) Size() int { return n.size }

func (numbers) AppendEncode(dst []int, _ []byte) ([]int, error) { return dst, nil }

func (n numbers) Bytes(id int) []byte {
	if id < 0 || id >= n.size {
		return nil
	}
	return append(strconv.AppendInt(nil, int64(id), 10), ' ')
}

// openTokenizerOrNumbers opens the tokenizer of m where one is given or found, and numbers where there is none to find.
func (a *app) openTokenizerOrNumbers(m *model.Model) (tokenizer.Tokenizer, error) {
	tok, err := a.openTokenizer(m)
	if err == nil || a.common.vocab != "" || m.File.Vocab != nil {
		return tok, err
	}
	a.notice("%v: tokens are written as ids", err)
	return numbers{m.Vocab}, nil
}
