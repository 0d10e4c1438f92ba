package golden

import (
	"bytes"
	"math"
	"os"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// most is the length in tokens of a text, as many as the model was trained on.
const most = 512

// HeldOut returns texts that the demo model was not trained on, of at most as many tokens as it was, tokens of all
// together, or skips the test. Each begins with the token that ends a text.
func HeldOut(tb testing.TB, tokens int) [][]int {
	tb.Helper()
	reference.Numbers(tb)
	data, err := os.ReadFile(reference.Shared(tb, "demo-model", "held-out", "stories.valid.txt"))
	if err != nil {
		tb.Fatal(err)
	}
	vocab, err := tokenizer.ParseWorld(demo.Name, demo.Vocab())
	if err != nil {
		tb.Fatal(err)
	}
	var texts [][]int
	for _, text := range bytes.Split(data, []byte("\n\n----\n\n")) {
		ids, err := vocab.AppendEncode([]int{0}, bytes.TrimSpace(text))
		if err != nil {
			tb.Fatal(err)
		}
		ids = ids[:min(len(ids), most, tokens)]
		if tokens -= len(ids); len(ids) > 1 {
			texts = append(texts, ids)
		}
	}
	return texts
}

// Demo opens the demo model, quantized to typ.
func Demo(tb testing.TB, typ tensor.Type) *model.Model {
	tb.Helper()
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := model.NewWith(f, model.Options{Quant: typ})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// logProbabilities returns the logarithms of the probabilities of each next token, after every token of each text.
func logProbabilities(tb testing.TB, open Open, texts [][]int) [][][]float32 {
	m := Demo(tb, 0)
	e := open(tb, m, op.Sizes{Slots: 1, Rows: most, Seqs: 1, Outs: most})
	defer func() { _ = e.Close() }()
	var all [][][]float32
	for _, text := range texts {
		if err := e.ResetState(0); err != nil {
			tb.Fatal(err)
		}
		list := Logits(tb, e, 0, text, 0)
		for _, l := range list {
			logSoftmax(l)
		}
		all = append(all, list)
	}
	return all
}

// Perplexity returns that of the demo model, as it is stored, on texts.
func Perplexity(tb testing.TB, open Open, texts [][]int) float64 {
	tb.Helper()
	var loss, tokens float64
	for i, l := range logProbabilities(tb, open, texts) {
		for at, id := range texts[i][1:] {
			loss -= float64(l[at][id])
			tokens++
		}
	}
	return math.Exp(loss / tokens)
}

func logSoftmax(x []float32) {
	most, sum := float32(math.Inf(-1)), 0.0
	for _, v := range x {
		most = max(most, v)
	}
	for _, v := range x {
		sum += math.Exp(float64(v - most))
	}
	shift := most + float32(math.Log(sum))
	for i := range x {
		x[i] -= shift
	}
}
