package sample

import (
	"encoding/binary"
	"math"
	"testing"
)

// Whatever the settings and logits, they are refused or give a distribution of sum 1 and draws from within it.
func FuzzSample(f *testing.F) {
	bits := math.Float32bits
	f.Add(bits(1), bits(0.85), 0, bits(0), bits(0.4), bits(0.25), bits(0.99), uint64(1), []byte("0000111122223333"))
	f.Add(bits(0), bits(1), 3, bits(0.1), bits(0), bits(0), bits(1), uint64(9), []byte{0, 0, 128, 63, 0, 0, 128, 255})
	f.Add(bits(1e-30), bits(0.5), 2, bits(1), bits(0), bits(0), bits(0), uint64(3), []byte{255, 255, 127, 127, 255, 255, 127, 255})
	f.Add(bits(3e38), bits(1), 0, bits(0), bits(-1000), bits(1000), bits(1), uint64(4), []byte{1, 0, 0, 0, 2, 0, 0, 0})
	f.Add(uint32(0x7fc00000), bits(1), 0, bits(0), bits(0), bits(0), bits(0), uint64(5), []byte{0, 0, 192, 127})
	f.Add(bits(1), bits(0.5), 0, bits(0), bits(0), bits(0), bits(0), uint64(6), []byte{0, 0, 0, 128, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, temperature, topP uint32, topK int, minP, presence, frequency, decay uint32, seed uint64, data []byte) {
		float := math.Float32frombits
		p := Params{
			Temperature: float(temperature), TopP: float(topP), TopK: topK, MinP: float(minP),
			Presence: float(presence), Frequency: float(frequency), PenaltyDecay: float(decay), Seed: seed,
		}
		logits := make([]float32, min(len(data)/4, 500))
		for i := range logits {
			logits[i] = float(binary.LittleEndian.Uint32(data[4*i:]))
		}
		s, err := New(p, NewVocabulary(len(logits), freeIDs(func(id int) bool { return id%3 == 0 })))
		if err != nil {
			return
		}
		for range 5 {
			probs, err := s.Distribution(logits)
			id, sampleErr := s.Sample(logits)
			if (err == nil) != (sampleErr == nil) {
				t.Fatalf("Distribution says %v, Sample %v", err, sampleErr)
			}
			if err != nil {
				return
			}
			var sum float64
			for _, prob := range probs {
				if !(prob >= 0) {
					t.Fatalf("probability %v", prob)
				}
				sum += float64(prob)
			}
			if math.Abs(sum-1) > 1e-5 || probs[id] == 0 {
				t.Fatalf("probabilities sum to %v, drawn %d has %v", sum, id, probs[id])
			}
			if err := s.Accept(id); err != nil {
				t.Fatal(err)
			}
		}
	})
}
