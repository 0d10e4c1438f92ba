package sample

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A sampler's stored form, little-endian: the format's number, the number of ids, the position in the random stream,
// and each accepted id with its count.
const (
	marshalFormat = 1
	marshalHead   = 4 + 4 + 8
	marshalEntry  = 4 + 4
)

// ErrStored is wrapped by the errors of UnmarshalBinary.
var ErrStored = errors.New("stored sampler")

// MarshalBinary returns the sampler's counts and its position in the random stream. With them a sampler of the same
// settings goes on with the same ids. Settings and mask are not included, and counts only if a penalty is set.
func (s *Sampler) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, marshalHead+marshalEntry*len(s.past.accepted))
	b = binary.LittleEndian.AppendUint32(b, marshalFormat)
	b = binary.LittleEndian.AppendUint32(b, uint32(s.vocab))
	b = binary.LittleEndian.AppendUint64(b, s.position)
	for _, id := range s.past.accepted {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(s.past.counts[id]))
	}
	return b, nil
}

// UnmarshalBinary sets counts and position to what MarshalBinary returned, whatever the settings then were. It drops
// the counts if no penalty is set. On an error the sampler stays as it is.
func (s *Sampler) UnmarshalBinary(data []byte) error {
	if len(data) < marshalHead || (len(data)-marshalHead)%marshalEntry != 0 {
		return fmt.Errorf("sample: %w: want %d bytes and a multiple of %d, got %d", ErrStored, marshalHead, marshalEntry, len(data))
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(data[at:]) }
	if got := word(0); got != marshalFormat {
		return fmt.Errorf("sample: %w: want format %d, got %d", ErrStored, marshalFormat, got)
	}
	if got := word(4); got != uint32(s.vocab) {
		return fmt.Errorf("sample: %w: want one of %d ids, got one of %d", ErrStored, s.vocab, got)
	}
	seen := make(map[uint32]bool, (len(data)-marshalHead)/marshalEntry)
	for at := marshalHead; at < len(data); at += marshalEntry {
		id, count := word(at), math.Float32frombits(word(at+4))
		switch {
		case id >= uint32(s.vocab):
			return fmt.Errorf("sample: %w: want ids below %d, got %d", ErrStored, s.vocab, id)
		case seen[id]:
			return fmt.Errorf("sample: %w: id %d: want it once, got it again", ErrStored, id)
		case !(count >= 0 && count <= math.MaxFloat32):
			return fmt.Errorf("sample: %w: id %d: want a finite count >= 0, got %v", ErrStored, id, count)
		}
		seen[id] = true
	}
	s.Reset()
	s.position = binary.LittleEndian.Uint64(data[8:])
	if s.past.counts == nil {
		return nil
	}
	for at := marshalHead; at < len(data); at += marshalEntry {
		id := int(word(at))
		s.past.note(id)
		s.past.counts[id] = math.Float32frombits(word(at + 4))
	}
	return nil
}
