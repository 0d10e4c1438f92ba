package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Source is another file that a model's tensors are made from.
type Source struct {
	*File
	Use string // what is made of it, in words that differ where the results would
}

// With returns a File like f with other tensors and functions, which are made from f's and from the sources. Closing it
// closes f and the sources.
func (f *File) With(tensors map[string]*tensor.Tensor, functions map[string]Function, sources []Source) *File {
	out := *f
	out.Tensors, out.Functions, out.Base, out.Sources = tensors, functions, f, sources
	return &out
}

// SourcesDigest returns a hash of f.Sources: their tensors, and the use of each. It is "" without sources.
func (f *File) SourcesDigest() (string, error) {
	if len(f.Sources) == 0 {
		return "", nil
	}
	h := sha256.New()
	for _, s := range f.Sources {
		_, _ = io.WriteString(h, s.Use+"\n") // a hash takes all
		for _, name := range s.Names() {
			t := s.Tensors[name]
			_, _ = io.WriteString(h, t.String()+"\n")
			err := t.Use(func(data []byte) error {
				_, err := h.Write(data)
				return err
			})
			if err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
