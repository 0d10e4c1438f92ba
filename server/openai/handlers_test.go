package openai

import "testing"

// The bytes that several answers may read are bounded, and those of one answer are not.
func TestReadable(t *testing.T) {
	for _, c := range []struct {
		bytes, answers int
		fits           bool
	}{{mostRead, 1, true}, {mostRead * 2, 1, true}, {mostRead / 2, 2, true}, {mostRead/2 + 1, 2, false}, {1 << 17, 128, true}, {1<<17 + 1, 128, false}} {
		if err := readable("prompt", c.bytes, c.answers); (err == nil) != c.fits {
			t.Errorf("%d bytes for %d answers: %v", c.bytes, c.answers, err)
		}
	}
}
