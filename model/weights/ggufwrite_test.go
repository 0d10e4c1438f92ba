package weights_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/quant"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// vocabularyTexts returns the tokens' texts as a GGUF file holds them.
func vocabularyTexts(t *testing.T, tokens [][]byte) []string {
	t.Helper()
	for _, a := range weights.VocabularyAnnotations(tokens) {
		if texts, ok := a.Value.([]string); ok {
			return texts
		}
	}
	t.Fatal("no texts")
	return nil
}

// readVocabulary returns the tokens that a GGUF file of tokens is read as.
func readVocabulary(t *testing.T, tokens [][]byte) [][]byte {
	t.Helper()
	list := append(weights.VocabularyAnnotations(tokens), weights.Annotation{Key: "general.architecture", Value: "rwkv7"})
	var b bytes.Buffer
	if err := weights.GGUF(list, nil).Write(&b, nil); err != nil {
		t.Fatal(err)
	}
	return parse(t, b.Bytes()).Vocab
}

// Tokens are written as Python writes the inside of repr(bytes).
func TestVocabularyTexts(t *testing.T) {
	want := map[string]string{
		"'": `'`, `"`: `"`, `'"`: `\'"`, `it's "x"`: `it\'s "x"`, `\`: `\\`, `\'`: `\\'`, "\x7f~ ": `\x7f~ `, "\x00\x1b\t\r\n": `\x00\x1b\t\r\n`,
		"é": `\xc3\xa9`, "\xff": `\xff`, "plain [PAD3] text": "plain [PAD3] text",
	}
	tokens := [][]byte{nil}
	for token := range want {
		tokens = append(tokens, []byte(token))
	}
	tokens = append(tokens, nil)
	texts := vocabularyTexts(t, tokens)
	for id, token := range tokens {
		w := want[string(token)]
		switch id {
		case 0:
			w = "<s>"
		case len(tokens) - 1:
			w = "[PAD12]"
		}
		if texts[id] != w {
			t.Errorf("%q: want %s, got %s", token, w, texts[id])
		}
	}
}

// Any tokens come back from a file.
func TestVocabularyComesBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const some = "\\'\"xnrt0af\n\r\t\x00\x7f\x80\xff é"
	tokens := make([][]byte, 3000)
	for id := range tokens {
		if id == 0 || id > 2990 {
			continue // ids without text
		}
		token := make([]byte, 1+rng.IntN(12))
		for i := range token {
			if token[i] = byte(rng.IntN(256)); rng.IntN(2) == 0 {
				token[i] = some[rng.IntN(len(some))]
			}
		}
		tokens[id] = token
	}
	wantVocabulary(t, readVocabulary(t, tokens), tokens)
}

func wantVocabulary(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("want %d tokens, got %d", len(want), len(got))
	}
	for id := range want {
		if !bytes.Equal(got[id], want[id]) || (got[id] == nil) != (want[id] == nil) {
			t.Errorf("token %d: want %q, got %q", id, want[id], got[id])
		}
	}
}

// The World vocabulary comes back whole, and its texts are those that Python's repr makes of its 65536 tokens: the sum
// is that of a Python program after llama.cpp's converter.
func TestSharedWorldVocabularyGGUF(t *testing.T) {
	w, err := tokenizer.Open(reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt"))
	if err != nil {
		t.Fatal(err)
	}
	tokens := make([][]byte, 1<<16)
	for id := range tokens {
		tokens[id] = w.Bytes(id)
	}
	sum := sha256.Sum256([]byte(strings.Join(vocabularyTexts(t, tokens), "\n")))
	if got := hex.EncodeToString(sum[:]); got != "9e80d6151e81ecf11ef3c228cd9bfcd4dcfdd60995d243815d35e5836523a8ef" {
		t.Errorf("the texts are others than Python's: sha256 %s", got)
	}
	wantVocabulary(t, readVocabulary(t, tokens), tokens)
}

// A conversion that spans many pieces and workers gives what one of the whole gives, and an error names the element.
func TestOutputConverts(t *testing.T) {
	const rows, width = 1100, 700
	rng := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, rows*width)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	for _, as := range tensor.Types {
		var b bytes.Buffer
		list := []weights.Stored{{Tensor: tensor.FromFloats("x", []int{rows, width}, x), As: as}}
		o, err := weights.Safetensors(list, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Write(&b, nil); err != nil {
			t.Fatal(err)
		}
		want := make([]byte, as.Bytes(len(x)))
		as.Encode(want, x)
		if got := load(t, parse(t, b.Bytes()), "x"); !bytes.Equal(got, want) || int64(b.Len()) != o.Size() {
			t.Errorf("%s: other numbers, or %d bytes instead of %d", as, b.Len(), o.Size())
		}
	}
	for _, c := range []struct {
		value float32
		as    tensor.Type
		want  string
	}{
		{70000, tensor.F16, "tensor x: value: want numbers that F16 can hold, got 70000 at [1000 3]"},
		{float32(math.Inf(1)), tensor.F16, "tensor x: value: want finite numbers, got +Inf at [1000 3]"},
		{float32(math.Inf(1)), tensor.F32, "tensor x: value: want finite numbers, got +Inf at [1000 3]"},
	} {
		x[1000*width+3] = c.value
		o, err := weights.Safetensors([]weights.Stored{{Tensor: tensor.FromFloats("x", []int{rows, width}, x), As: c.as}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, o.Write(new(bytes.Buffer), nil), c.want)
	}
	_, err := weights.Safetensors([]weights.Stored{{Tensor: tensor.FromFloats("x", []int{32}, x[:32]), As: tensor.Q8_0}}, nil)
	wantError(t, err, "tensor x: dtype: want a type that safetensors has, got Q8_0")
	huge := weights.GGUF(nil, []weights.Stored{{Tensor: tensor.FromFloats("x", []int{2, 32}, append(make([]float32, 50), append([]float32{-1e9}, make([]float32, 13)...)...)), As: tensor.Q8_0}})
	huge.Quantize = quant.Encode
	wantError(t, huge.Write(new(bytes.Buffer), nil), "tensor x: value: want numbers that Q8_0 can hold, got -1e+09 at [1 18]")
	odd := weights.GGUF(nil, []weights.Stored{{Tensor: tensor.FromFloats("x", []int{2, 40}, x[:80]), As: tensor.Q8_0}})
	wantError(t, odd.Write(new(bytes.Buffer), nil), "tensor x: shape: want rows of whole Q8_0 blocks (32 elements), got [2 40]")
}
