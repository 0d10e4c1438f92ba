package tokenizer

// Tokenizer turns bytes into token ids and ids into bytes. Implementations are immutable and safe for concurrent use.
type Tokenizer interface {
	// Name says which vocabulary this is, for messages.
	Name() string
	// Size is the highest id of the vocabulary plus one. A model's vocabulary may be larger: its further ids are
	// reserved, are never produced by encoding and have no bytes.
	Size() int
	// AppendEncode appends the ids of text to dst and returns the longer slice. A text that the vocabulary cannot spell is
	// a *TextError, which only a World vocabulary without all bytes gives; dst is then returned as it was.
	AppendEncode(dst []int, text []byte) ([]int, error)
	// Bytes returns what id stands for, or nil where it stands for nothing: id 0 of World, ids that the vocabulary leaves
	// out and ids outside 0..Size()-1. The slice must not be written to.
	Bytes(id int) []byte
}

// Encode returns the ids of text, or a *TextError.
func Encode(t Tokenizer, text string) ([]int, error) { return t.AppendEncode(nil, []byte(text)) }

// Decode returns the bytes that ids stand for. They need not be valid UTF-8; see [Text].
func Decode(t Tokenizer, ids []int) []byte {
	var text []byte
	for _, id := range ids {
		text = append(text, t.Bytes(id)...)
	}
	return text
}
