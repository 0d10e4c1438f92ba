package sample

import "math/bits"

// Philox returns block counter of the Philox4x32-10 stream of key (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers:
// As Easy as 1, 2, 3, SC 2011): four uniform 32-bit words that depend on nothing but the arguments.
func Philox(key [2]uint32, counter [4]uint32) [4]uint32 {
	const (
		mul0, mul1 = 0xD2511F53, 0xCD9E8D57
		weyl0      = 0x9E3779B9 // golden ratio
		weyl1      = 0xBB67AE85 // sqrt(3) - 1
	)
	for range 10 {
		hi0, lo0 := bits.Mul32(mul0, counter[0])
		hi1, lo1 := bits.Mul32(mul1, counter[2])
		counter = [4]uint32{hi1 ^ counter[1] ^ key[0], lo1, hi0 ^ counter[3] ^ key[1], lo0}
		key[0] += weyl0
		key[1] += weyl1
	}
	return counter
}

// Random returns the 64 bits that draw the token at a position of the stream of seed.
func Random(seed, position uint64) uint64 {
	words := Philox([2]uint32{uint32(seed), uint32(seed >> 32)}, [4]uint32{uint32(position), uint32(position >> 32)})
	return uint64(words[1])<<32 | uint64(words[0])
}
