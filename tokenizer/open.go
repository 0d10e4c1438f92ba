package tokenizer

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// Open reads the vocabulary file at path and decides by its content what it is: JSON is a [BPE], unless its first key
// is an id, and all else a [World]. A fault in it is an [*Error].
func Open(path string) (Tokenizer, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	if text, err := plainText(path, data); err == nil && isJSON(text) && !isWorldJSON(text) {
		t, err := ParseBPE(path, data)
		if err != nil {
			return nil, err
		}
		t.name = baseName(path)
		return t, nil
	}
	w, err := ParseWorld(path, data)
	if err != nil {
		return nil, err
	}
	w.name = baseName(path)
	return w, nil
}

// readFile reads a vocabulary, from a file or a pipe.
func readFile(path string) ([]byte, error) {
	data, err := files.Read(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("vocabulary: %w", err)
	}
	return data, nil
}

func baseName(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
