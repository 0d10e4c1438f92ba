package model

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

// Config has the sizes that follow from the shapes of a model's tensors.
type Config struct {
	Version      string
	Layers       int
	Embed        int            // C: width of the residual stream
	FFN          int            // hidden width of the channel mix
	Vocab        int            // rows of the embedding and of the head
	Heads        int            // H; 0 in RWKV-4
	HeadSize     int            // N; 0 in RWKV-4
	Ranks        map[string]int // widths of the low-rank matrices, by their letter
	NormEps      float32        // layer norms
	GroupNormEps float32        // the norm over each head; 0 in RWKV-4
}

// Hash returns a number that is the same for two models exactly if their states have the same sizes. Model.ID says
// whether a state is one of this model.
func (c *Config) Hash() uint32 {
	return crc32.ChecksumIEEE(fmt.Appendf(nil, "%s %d %d %d %d", c.Version, c.Layers, c.Embed, c.Heads, c.HeadSize))
}

// String describes the model in a line.
func (c *Config) String() string {
	s := fmt.Sprintf("RWKV-%s, %d layers, width %d", strings.TrimPrefix(c.Version, "v"), c.Layers, c.Embed)
	if c.Heads > 0 {
		s += fmt.Sprintf(", %d heads of %d", c.Heads, c.HeadSize)
	}
	s += fmt.Sprintf(", ffn %d, vocabulary %d", c.FFN, c.Vocab)
	var ranks []string
	for k, r := range c.Ranks {
		ranks = append(ranks, fmt.Sprintf("%s %d", k, r))
	}
	if slices.Sort(ranks); len(ranks) > 0 {
		s += ", ranks " + strings.Join(ranks, " ")
	}
	if c.NormEps != OriginalNormEps {
		s += fmt.Sprintf(", norm epsilon %v", c.NormEps)
	}
	if c.Heads > 0 && c.GroupNormEps != OriginalGroupNormEps {
		s += fmt.Sprintf(", group norm epsilon %v", c.GroupNormEps)
	}
	return s
}

// dims has the sizes of the names in tensor shapes, as far as they are known.
type dims map[string]int

// match compares a shape with its pattern. A name in the pattern that has no size yet gets the size that it meets. If
// the two differ, match returns the wanted shape in words.
func (d dims) match(pattern []string, shape []int) (want string, ok bool) {
	ok = len(shape) == len(pattern)
	words := make([]string, len(pattern))
	for i, name := range pattern {
		size, known := d[name]
		words[i] = name
		if n, err := strconv.Atoi(name); err == nil { // a size that never varies
			ok = ok && shape[i] == n
			continue
		}
		if known {
			words[i] = fmt.Sprintf("%s=%d", name, size)
		}
		if i < len(shape) && known && shape[i] != size {
			ok = false
		}
	}
	if ok {
		for i, name := range pattern {
			d[name] = shape[i]
		}
	}
	return "[" + strings.Join(words, " ") + "]", ok
}
