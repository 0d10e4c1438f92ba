package model

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
)

// idBytes is how many bytes of a hash an identity has: enough that no two models share one by chance.
const idBytes = 16

// ID returns the model's identity: a hash of its weights and, after a plus sign, one of its LoRAs if it has any. Two
// models have the same identity exactly if their files have the same numbers in the same types for the tensors in use,
// and if their epsilons and LoRAs are the same. Options.Quant is not part of it. If something has to come back bit for
// bit, its owner adds the type to the identity.
//
// The first call reads every weight once, on all cores, and hashes it by SHA-256, at 0.4 to 2 GB/s a core. For most
// files that takes no longer than loading them. Later calls return the same result. It is not kept on disk: size and
// time of a file do not prove that its numbers are the same.
func (m *Model) ID() (string, error) { return m.id() }

// identify computes ID.
func (m *Model) identify() (string, error) {
	f := m.File
	loras, err := f.SourcesDigest()
	if err != nil {
		return "", err
	}
	if f.Base != nil {
		f = f.Base
	}
	names := slices.Sorted(maps.Keys(m.tensors))
	sums, err := digests(f, names)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	write := func(format string, args ...any) { _, _ = fmt.Fprintf(h, format+"\n", args...) } // a hash takes all
	write("%s, norms of %v and %v, embedding normed %v, head tied %v", m.Version, m.NormEps, m.GroupNormEps, f.EmbeddingNormed, f.Tied)
	for i, name := range names {
		write("%q %s %v %q divided by %d: %x", name, f.Tensors[name].Type, f.Tensors[name].Shape, f.Functions[name], f.Divisor(name), sums[i])
	}
	id := hex.EncodeToString(h.Sum(nil)[:idBytes])
	if loras != "" {
		id += "+" + loras[:2*idBytes]
	}
	return id, nil
}

// digests returns the SHA-256 of each of the tensors' bytes, computed on all cores.
func digests(f *weights.File, names []string) ([][sha256.Size]byte, error) {
	sums, errs := make([][sha256.Size]byte, len(names)), make([]error, len(names))
	next := make(chan int)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range next {
				errs[i] = f.Tensors[names[i]].Use(func(data []byte) error {
					sums[i] = sha256.Sum256(data)
					return nil
				})
			}
		}()
	}
	for i := range names {
		next <- i
	}
	close(next)
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return sums, nil
}
