package tokenizer

// Bytes is the byte-level tokenizer, vocabulary 256: an id is a byte. Id 0 is the byte 0, and ends a document too.
type Bytes struct{}

var _ Tokenizer = Bytes{}

// singleBytes holds every byte once, for Bytes.Bytes.
var singleBytes = func() (b [256]byte) {
	for i := range b {
		b[i] = byte(i)
	}
	return b
}()

// Name is "bytes".
func (Bytes) Name() string { return "bytes" }

// Size is 256.
func (Bytes) Size() int { return len(singleBytes) }

// Bytes returns the byte id, or nil outside 0..255.
func (Bytes) Bytes(id int) []byte {
	if id < 0 || id >= len(singleBytes) {
		return nil
	}
	return singleBytes[id : id+1 : id+1]
}

// AppendEncode appends the bytes of text to dst.
func (Bytes) AppendEncode(dst []int, text []byte) ([]int, error) {
	for _, c := range text {
		dst = append(dst, int(c))
	}
	return dst, nil
}
