package synthetic

import (
	"encoding/binary"
	"math"
	"runtime"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// normal is a source of normal numbers. Each group of 4 depends only on its index.
type normal struct {
	mean, deviation float64
	key             uint64
}

// steps is the number of different numbers: the middles of as many equally likely parts of the distribution. So no
// number lies further out than 3.7 deviations.
const steps = 1 << 12

// quantiles are those numbers for mean 0 and deviation 1.
var quantiles = sync.OnceValue(func() *[steps]float64 {
	var q [steps]float64
	for i := range q {
		q[i] = math.Sqrt2 * math.Erfinv((2*float64(i)+1)/steps-1)
	}
	return &q
})

// table returns the numbers as they are stored.
func (n normal) table(typ tensor.Type) []byte {
	f := make([]float32, steps)
	for i, q := range quantiles() {
		f[i] = float32(n.mean + n.deviation*q)
	}
	data := make([]byte, typ.Bytes(steps))
	typ.Encode(data, f)
	return data
}

// gamma is the odd number nearest to 2^64 divided by the golden ratio.
const gamma = 0x9e3779b97f4a7c15

// mix is the output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// chunk is the bytes that one goroutine fills at a time.
const chunk = 1 << 20

// fill fills data, on all cores.
func (n normal) fill(typ tensor.Type, data []byte) {
	table := n.table(typ)
	size := typ.Bytes(1)
	if len(data) <= chunk {
		fillRange(size, table, n.key, data, 0)
		return
	}
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for at := range next {
				fillRange(size, table, n.key, data[at:min(at+chunk, len(data))], uint64(at/size/4))
			}
		}()
	}
	for at := 0; at < len(data); at += chunk {
		next <- at
	}
	close(next)
	wg.Wait()
}

// fillRange fills data, whose first element is that of index 4*at, with entries of the table: 12 bits of a random
// number choose each.
func fillRange(size int, table []byte, key uint64, data []byte, at uint64) {
	if size == 2 {
		fill16((*[2 * steps]byte)(table), key, data, at)
		return
	}
	for i := 0; i < len(data); at++ {
		r := mix(key + at*gamma)
		for range 4 {
			if i < len(data) {
				copy(data[i:i+size], table[size*int(r%steps):])
			}
			r >>= 12
			i += size
		}
	}
}

// fill16 is fillRange for elements of 2 bytes.
func fill16(table *[2 * steps]byte, key uint64, data []byte, at uint64) {
	var lut [steps]uint16
	for i := range lut {
		lut[i] = binary.LittleEndian.Uint16(table[2*i:])
	}
	for ; len(data) >= 8; data, at = data[8:], at+1 {
		r := mix(key + at*gamma)
		v := uint64(lut[r%steps]) | uint64(lut[r>>12%steps])<<16 | uint64(lut[r>>24%steps])<<32 | uint64(lut[r>>36%steps])<<48
		binary.LittleEndian.PutUint64(data, v)
	}
	r := mix(key + at*gamma)
	for ; len(data) >= 2; data = data[2:] {
		binary.LittleEndian.PutUint16(data, lut[r%steps])
		r >>= 12
	}
}
