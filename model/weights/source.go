package weights

import (
	"crypto/sha256"
	"encoding/hex"
	"io"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Source is a file beside a model's own that its tensors are made of too.
type Source struct {
	*File
	Use string // what is made of it, in words that differ where the results would
}

// With returns a File as f, but for other tensors and forms, which are made of f's own and of the sources. Closing it
// closes f and the sources.
func (f *File) With(tensors map[string]*tensor.Tensor, forms map[string]Form, sources []Source) *File {
	out := *f
	out.Tensors, out.Forms, out.Base, out.Sources = tensors, forms, f, sources
	return &out
}

// SourcesDigest returns a hash of all that f.Sources bring: their tensors, and what is made of them; "" without
// sources.
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
