package main

import (
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// syntheticPrefix begins a --model that is made up: what follows is its size.
const syntheticPrefix = "synthetic:"

func isSynthetic(path string) bool { return strings.HasPrefix(path, syntheticPrefix) }

// openSynthetic makes the model up, with f16 weights.
func openSynthetic(path string) (*weights.File, error) {
	size, err := synthetic.Named(strings.TrimPrefix(path, syntheticPrefix))
	if err != nil {
		return nil, usagef("--model", "%v", err)
	}
	return synthetic.New(size, tensor.F16, synthetic.Seed)
}
