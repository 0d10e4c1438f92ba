// Package convert writes a model as a file of another format: as safetensors with the original names and shapes, or as
// GGUF with llama.cpp's. Numbers keep their bits unless another type is asked for. Changes that an earlier converter
// made to them are undone. If a format has no place for something, that is a *weights.Error or a notice. The facts that
// differ between versions come from the version table of package model.
package convert
