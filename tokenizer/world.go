package tokenizer

// World is the tokenizer of the RWKV World models: greedy longest match on bytes against a fixed vocabulary.
type World struct {
	name   string
	trie   trie
	bytes  []byte   // all tokens, joined in order of id
	starts []uint32 // [Size+1]: token id is bytes[starts[id]:starts[id+1]]
}

var _ Tokenizer = (*World)(nil)

// Name is the name given to ParseWorld, or the vocabulary's file name without folder and extension.
func (w *World) Name() string { return w.name }

// Size is the highest id in the file plus one.
func (w *World) Size() int { return len(w.starts) - 1 }

// Bytes returns the bytes of a token, or nil for an id that the file does not have.
func (w *World) Bytes(id int) []byte {
	if id <= 0 || id >= w.Size() {
		return nil
	}
	start, end := w.starts[id], w.starts[id+1]
	if start == end {
		return nil
	}
	return w.bytes[start:end:end]
}

// AppendEncode appends the ids of text to dst. It allocates only where dst must grow.
func (w *World) AppendEncode(dst []int, text []byte) ([]int, error) {
	before := len(dst)
	for at := 0; at < len(text); {
		id, n := w.trie.longest(text[at:])
		if n == 0 {
			return dst[:before], &TextError{w.name, text[at], at}
		}
		dst = append(dst, int(id))
		at += n
	}
	return dst, nil
}
