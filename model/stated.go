package model

import (
	"errors"
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// Epsilons of the original implementation.
const (
	OriginalNormEps      = 1e-5
	OriginalGroupNormEps = 64e-5
)

// stated checks the sizes that the file states against the tensors, and takes the epsilons that it states.
func (m *Model) stated(o Options) error {
	for _, c := range m.File.Claims {
		n := m.size(c.Of)
		if n == 0 || n == c.N {
			continue
		}
		want := fmt.Sprintf("%d, as the tensors have it", n)
		if c.Of == weights.Layers {
			want = fmt.Sprintf("%d, as there are tensors", n)
			if c.N > n {
				want += " (truncated file?)"
			}
		}
		return &weights.Error{File: c.File, Field: c.Field, Want: want, Got: fmt.Sprint(c.N)}
	}
	e := m.File.Epsilons
	if e.Norm != 0 {
		m.NormEps = e.Norm
	}
	if m.Heads == 0 {
		return nil
	}
	switch {
	case o.GroupNormEps != 0:
		m.GroupNormEps = o.GroupNormEps
	case e.Group != 0:
		m.GroupNormEps = e.Group
	case e.PerElement != 0:
		m.GroupNormEps = float32(float64(m.HeadSize) * e.PerElement)
	}
	return nil
}

// size returns one of the model's sizes, 0 if the model has no such size.
func (m *Model) size(of weights.Size) int {
	if letter, ok := of.Letter(); ok {
		return m.Ranks[letter]
	}
	return map[weights.Size]int{weights.Layers: m.Layers, weights.Width: m.Embed, weights.FFN: m.FFN, weights.Rows: m.Vocab,
		weights.HeadSize: m.HeadSize, weights.Heads: m.Heads}[of]
}

// missing adds to the error about a missing head what the file could have stated instead.
func missing(err error) error {
	var e *weights.Error
	if errors.As(err, &e) && e.Tensor == "head.weight" && errors.Is(err, weights.ErrMissing) {
		e.Err = fmt.Errorf("%w: a head that is the embedding again has to be said, by tie_word_embeddings in config.json", e.Err)
	}
	return err
}
