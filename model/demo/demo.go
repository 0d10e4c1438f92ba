// Package demo holds the model that rwkv-gpu uses when none is named: a 7.3 M parameter RWKV-7 trained for this project
// to tell simple English stories, as the rest of a text or as answers to requests (see MODEL_CARD.md and SOURCES.md). It
// is embedded, so that text generation and chat work from the binary alone. train/ holds the scripts that made it;
// reference.json and reference.npy its expected logits, computed by those scripts in float32 and checked there against
// float64. Beside it lies a smaller model that learned from it, to draw ahead for it (see DRAFT_CARD.md).
package demo

import _ "embed"

// Name identifies the model where a file name would stand, and DraftName the smaller one.
const (
	Name      = "demo"
	DraftName = "demo:draft"
)

//go:embed demo.safetensors
var weights []byte

//go:embed vocab.txt
var vocab []byte

//go:embed draft.gguf
var draft []byte

// Weights returns the model file: safetensors, f16, BlinkDL's tensor names and shapes. Shared memory: do not modify.
func Weights() []byte { return weights }

// Vocab returns the vocabulary in the World format, token ids 1 to 4095 (0 ends a text). Shared memory: do not modify.
func Vocab() []byte { return vocab }

// Draft returns the file of the smaller model: GGUF, the vocabulary inside. Shared memory: do not modify.
func Draft() []byte { return draft }
