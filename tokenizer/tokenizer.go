package tokenizer

// Tokenizer turns bytes into token ids and ids into bytes. Implementations are immutable and safe for concurrent use.
type Tokenizer interface {
	// Name says which vocabulary this is, for messages.
	Name() string
	// Size is the highest id of the vocabulary plus one. A model may have more ids. These are reserved: encoding never
	// produces them, and they have no bytes.
	Size() int
	// AppendEncode appends the ids of text to dst and returns the longer slice. If the vocabulary cannot spell the text,
	// the error is a *TextError, and dst is returned as it was. Only a World vocabulary without all bytes gives such an
	// error.
	AppendEncode(dst []int, text []byte) ([]int, error)
	// Bytes returns the bytes of id, or nil if id has none: id 0 of World, ids that the vocabulary leaves out, and ids
	// outside 0..Size()-1. The caller must not write to the slice.
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
