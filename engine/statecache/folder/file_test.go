package folder

import (
	"bytes"
	"testing"
)

// Whatever lies in a file, its header is refused or is what would be written.
func FuzzHeader(f *testing.F) {
	place := New("", "fuzz", 3)
	good := place.appendHeader(nil, Header{Digest{1}, []int{3, 4}, 2, 9, []byte("abc")})
	f.Add(good)
	f.Add(append(bytes.Clone(good), 1, 2, 3))
	f.Add(good[:50])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		h, n, err := place.parseHeader(data)
		if err != nil {
			// The checksum of a fuzzed header is put right, so that what is behind it is reached.
			if n == 0 || n > len(data) {
				return
			}
			data = appendSum(bytes.Clone(data[:n-sumBytes]))
			if h, n, err = place.parseHeader(data); err != nil {
				t.Fatalf("refused with the right checksum: %v", err)
			}
		}
		if again := place.appendHeader(nil, h); !bytes.Equal(again, data[:n]) {
			t.Fatalf("%x is written as %x", data[:n], again)
		}
	})
}
