package weights_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// small is a model small enough to mutate.
var small = weightstest.Size{Vocab: 3, Embed: 4, Layers: 1, Head: 2, FFN: 5, W: 1, A: 2, V: 1, G: 3}

// FuzzParse reads any bytes at all.
func FuzzParse(f *testing.F) {
	original := weightstest.RWKV7(small, tensor.F16, 1)
	f.Add(weightstest.Safetensors(original, nil))
	f.Add(weightstest.Safetensors(weightstest.WebRWKV(original), map[string]string{"format": "pt"}))
	f.Add(sound())
	for _, table := range [][]broken{brokenFraming, brokenHeaders, brokenEntries} {
		for _, b := range table {
			if len(b.data) < 4096 {
				f.Add(b.data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { survivesWithin(t, data, 8) }) // a mutation may be of any format
}

// FuzzHeader reads any header over a sound body.
func FuzzHeader(f *testing.F) {
	body := make([]byte, 512)
	for i := range body {
		body[i] = byte(i)
	}
	f.Add("{"+one+","+two+"}", 12)
	for _, table := range [][]broken{brokenHeaders, brokenEntries} {
		for _, b := range table {
			if len(b.data) < 4096 {
				f.Add(strings.TrimRight(string(b.data[8:len(b.data)-12]), " "), 12)
			}
		}
	}
	for _, names := range [][]string{
		{"emb.weight", "blocks.0.att.w1", "blocks.0.att.w2"},
		{"blocks.0.att.time_mix_w1", "blocks.0.att.time_maa_w1", "blocks.0.att.time_state"},
		{"_orig_mod.emb.weight", "blocks.0.att.gate.weight", "blocks.0.att.time_first"},
	} {
		var tensors []*tensor.Tensor
		for i, n := range names {
			tensors = append(tensors, zeros(n, 2+i, 3))
		}
		data := weightstest.Safetensors(tensors, map[string]string{"format": "pt"})
		f.Add(strings.TrimRight(string(data[8:len(data)-4*3*(2+3+4)]), " "), 4*3*(2+3+4))
	}
	f.Fuzz(func(t *testing.T, header string, n int) {
		survives(t, weightstest.File(header, body[:max(0, min(n, len(body)))]))
	})
}

// survives wants data to be refused with an error of one line, or to be a file whose tensors all load and lie within
// it.
func survives(t *testing.T, data []byte) { survivesWithin(t, data, 1) }

// survivesWithin allows the tensors to take growth times the size of the file.
func survivesWithin(t *testing.T, data []byte, growth int) {
	file, err := weights.Parse("fuzz", data)
	if err != nil {
		wantError(t, err, "fuzz: ")
		return
	}
	total := 0
	for _, n := range file.Names() {
		x, err := file.Tensor(n)
		if err != nil {
			t.Fatal(err)
		}
		b, err := x.Load()
		if err != nil {
			t.Fatalf("%s of a sound file does not load: %v", x, err)
		}
		total += len(b)
		if err := file.CheckFinite(x); err != nil {
			wantError(t, err, "fuzz: tensor ", "want finite numbers")
		}
	}
	if total > growth*len(data) || len(file.Tensors) > len(data) {
		t.Fatalf("%d tensors of %d bytes from a file of %d", len(file.Tensors), total, len(data))
	}
	if _, err := file.Tensor("no such tensor, surely: \n"); !errors.Is(err, weights.ErrMissing) {
		t.Fatalf("want ErrMissing, got %v", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	for _, x := range file.Tensors {
		if _, err := x.Load(); !errors.Is(err, weights.ErrClosed) {
			t.Fatalf("want ErrClosed, got %v", err)
		}
	}
}
