package main

import (
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// syntheticPrefix begins a --model that is made up: what follows is its size.
const syntheticPrefix = "synthetic:"

func isSynthetic(path string) bool { return strings.HasPrefix(path, syntheticPrefix) }

// openSynthetic makes the model up, with f16 weights.
func openSynthetic(path string, o model.Options) (*model.Model, error) {
	size, err := synthetic.Named(strings.TrimPrefix(path, syntheticPrefix))
	if err != nil {
		return nil, usagef("--model", "%v", err)
	}
	f, err := synthetic.New(size, tensor.F16, synthetic.Seed)
	if err != nil {
		return nil, err
	}
	return model.NewWith(f, o)
}
