package sample

import "testing"

// The known answers are the published ones of Random123 for philox4x32 with 10 rounds.
func TestPhiloxKnownAnswers(t *testing.T) {
	ones := uint32(0xFFFFFFFF)
	for _, c := range []struct {
		counter, want [4]uint32
		key           [2]uint32
	}{
		{want: [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			counter: [4]uint32{ones, ones, ones, ones}, key: [2]uint32{ones, ones},
			want: [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{
			counter: [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, key: [2]uint32{0xa4093822, 0x299f31d0},
			want: [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		if got := Philox(c.key, c.counter); got != c.want {
			t.Errorf("key %x counter %x: got %x, want %x", c.key, c.counter, got, c.want)
		}
	}
	if got, want := Random(0, 0), uint64(0xe169c58d6627e8d5); got != want {
		t.Errorf("Random(0, 0): got %x, want %x", got, want)
	}
	words := Philox([2]uint32{0x89abcdef, 0x01234567}, [4]uint32{0x00000005, 0x00000001})
	if got, want := Random(0x0123456789abcdef, 1<<32+5), uint64(words[1])<<32|uint64(words[0]); got != want {
		t.Errorf("Random splits seed and position: got %x, want %x", got, want)
	}
}
