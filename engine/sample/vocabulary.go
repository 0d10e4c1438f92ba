package sample

import (
	"bytes"
	"sync"
)

// Texts returns the bytes that each id of a vocabulary stands for, as a tokenizer.Tokenizer does.
type Texts interface{ Bytes(id int) []byte }

// Vocabulary is shared by the samplers of one model. It has the number of ids and the memory of draws, and knows which
// ids leave their count unchanged when they are accepted. Several goroutines may use it.
type Vocabulary struct {
	size  int
	texts Texts
	once  sync.Once
	bits  []uint32 // ids with free text; nil if there are none

	mu   sync.Mutex
	idle []*workspace // of draws that have ended: as many as there were draws at once
}

// NewVocabulary returns the vocabulary of a model with size ids. texts has their text. If texts is nil, every id
// counts. A model may have more ids than texts.
func NewVocabulary(size int, texts Texts) *Vocabulary { return &Vocabulary{size: size, texts: texts} }

// Size returns the number of ids.
func (v *Vocabulary) Size() int { return v.size }

// take returns the memory of a draw, until give. The draw that ended last has left it in the processor's caches.
func (v *Vocabulary) take() *workspace {
	v.mu.Lock()
	defer v.mu.Unlock()
	last := len(v.idle) - 1
	if last < 0 {
		return new(workspace)
	}
	w := v.idle[last]
	v.idle = v.idle[:last]
	return w
}

// give takes the memory of a draw back.
func (v *Vocabulary) give(w *workspace) {
	w.values = nil
	v.mu.Lock()
	defer v.mu.Unlock()
	v.idle = append(v.idle, w)
}

// freeBits returns the ids whose count stays (id i is bit i%32 of word i/32), nil if there are none. The first call
// finds them, since only penalties need them.
func (v *Vocabulary) freeBits() []uint32 {
	v.once.Do(func() {
		if v.texts == nil {
			return
		}
		bits := make([]uint32, (v.size+31)/32)
		for id := range v.size {
			if FreeText(v.texts.Bytes(id)) {
				bits[id/32] |= 1 << (id % 32)
			}
		}
		v.bits = bits
	})
	return v.bits
}

// free reports whether id's count stays.
func (v *Vocabulary) free(id int) bool {
	bits := v.freeBits()
	return len(bits) > id/32 && bits[id/32]>>(id%32)&1 == 1
}

// freeText is the text of FreeText.
var freeText = []byte(" \t0123456789")

// FreeText reports whether a token with this text leaves its count unchanged when it is accepted: text that occurs
// within " \t0123456789", so that digits and spacing are not driven out by the frequency penalty.
func FreeText(text []byte) bool { return len(text) <= len(freeText) && bytes.Contains(freeText, text) }
