package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// Two continuations of one prompt, which is read once.
func Example() {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	m, err := load.Open(load.Options{}) // the demo model; any file and its vocabulary are opened so
	must(err)
	tok, err := m.Tokenizer()
	must(err)
	d, err := device.Open("cpu", nil)
	must(err)
	e, err := engine.New(m.Model, d, engine.Options{Slots: 2})
	must(err)
	ctx, first := context.Background(), "Once upon a time, there was a"

	one, err := e.NewSeq(nil)
	must(err)
	ids, err := tokenizer.Encode(tok, first)
	must(err)
	prompt := []engine.Row{{Seq: one, Tokens: ids[:len(ids)-1]}}
	must(e.Feed(ctx, prompt))
	must(prompt[0].Err)
	two, err := e.Fork(one)
	must(err)

	vocabulary := sample.NewVocabulary(m.Vocab, tok)
	greedy, err := sample.New(sample.Params{}, vocabulary)
	must(err)
	warm, err := sample.New(sample.Params{Temperature: 1, TopP: 0.9, Seed: 7}, vocabulary)
	must(err)
	last := ids[len(ids)-1] // fed by the burst that draws after it
	list := []engine.Continuation{{Seq: one, Token: last, Sampler: greedy}, {Seq: two, Token: last, Sampler: warm}}
	texts := []string{first, first}
	for len(texts[0]) < 60 {
		_, err := e.Burst(ctx, list, 4, func(i, id int) bool {
			texts[i] += string(tok.Bytes(id))
			return true
		})
		must(err)
	}
	fmt.Printf("%s\n%s\n", texts[0], texts[1])
	must(e.Close())
	must(d.Close())
	must(m.Close())
	// Output:
	// Once upon a time, there was a little girl named Ruby. She loved
	// Once upon a time, there was a little girl named Lisa. She loved to
}
