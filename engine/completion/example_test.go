package completion_test

import (
	"context"
	"fmt"
	"log"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

// Two turns on the demo model: the second feeds its own tokens and no others.
func Example() {
	m, err := load.Open(load.Options{})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		log.Fatal(err)
	}
	dev, err := device.Open("cpu", nil)
	if err != nil {
		log.Fatal(err)
	}
	e, err := engine.New(m.Model, dev, engine.Options{Slots: 4})
	if err != nil {
		log.Fatal(err)
	}
	s, err := completion.New(e, tok, completion.Options{Cache: statecache.Options{Host: 64 << 20}})
	if err != nil {
		log.Fatal(err)
	}
	prompt := []statecache.Segment{{Text: "Once upon a time, there was a little girl named Lily.", End: statecache.Turn}}
	for _, next := range []string{" One day, she", " Then she"} {
		prompt = append(prompt, statecache.Segment{Text: next})
		c, err := s.Start(context.Background(), completion.Request{Space: "ann", Prompt: prompt, Max: 40, Stop: []string{"."}})
		if err != nil {
			log.Fatal(err)
		}
		text := ""
		for piece := range c.Pieces() {
			text += piece.Text // or to whoever reads along
		}
		r, err := c.Result()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Finish, text != "", "cached", r.Cached > 0, "prefilled", r.Prefilled)
		prompt = slices.Concat(r.Turn, []statecache.Segment{{Text: "."}})
	}
	if err := s.Close(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// stop true cached false prefilled 17
	// stop true cached true prefilled 3
}
