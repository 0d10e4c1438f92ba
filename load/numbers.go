package load

import (
	"fmt"
	"strconv"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// numbers is the tokenizer of a model without a vocabulary: a token's text is its id and a space. It cannot encode
// text.
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

// TokenizerOrNumbers is Tokenizer if the model's vocabulary is given or found. If not, a token's text is its id and a
// space, no text can be encoded, and a notice says so.
func (m *Opened) TokenizerOrNumbers() (tokenizer.Tokenizer, error) {
	t, err := m.Tokenizer()
	if err == nil || m.options.Vocab != "" || m.File.Vocab != nil {
		return t, err
	}
	m.options.notice(Notice{Text: err.Error() + ": tokens are written as ids", Input: Vocab})
	return numbers{m.Vocab}, nil
}
