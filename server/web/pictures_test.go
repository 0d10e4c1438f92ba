package web_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/local"
)

const showcase = ` Here is a function that turns a string around, and why it works.

### How it goes

1. Take the **runes** of the string, not its bytes: ` + "`é`" + ` has two bytes.
2. Swap the first with the last, the second with the one before the last, and so on.
   - Stop in the *middle*.
3. Make a string of them again.

` + "```go\nfunc Reverse(s string) string {\n\tr := []rune(s)\n\tslices.Reverse(r)\n\treturn string(r)\n}\n```" + `

It takes time and memory in proportion to the string.`

// TestPictures makes the pictures of the documents in the folder that RWKV_PICTURES names.
func TestPictures(t *testing.T) {
	folder := os.Getenv("RWKV_PICTURES")
	if folder == "" {
		t.Skip("RWKV_PICTURES names no folder")
	}
	for _, c := range []struct {
		name, scheme string
		w, h         int64
	}{{"web", "light", 1100, 860}, {"web-narrow", "dark", 360, 860}} {
		slowly := func(context.Context) error { time.Sleep(8 * time.Millisecond); return nil } // so that the speed is that of a model
		p := open(t, setup{w: c.w, h: c.h, elsewise: think, cached: 17, pause: slowly, answer: func(prompt string) string {
			if !strings.Contains(prompt, "reverses") {
				return ">A short one will do.</think>Once upon a time there was a fox."
			}
			return ">A string holds bytes, and a character may have several. Runes, then.</think>" + showcase
		}})
		p.do(colours(c.scheme))
		for _, message := range []string{"Tell me a story about a fox", "Why is the sky blue?", "Write a Go function that reverses a string, and say how it works"} {
			p.do(chromedp.Evaluate(`document.querySelector('#new').click()`, nil)) // on a narrow page it is out of sight
			p.ask(message)
		}
		p.click(".assistant [data-do=again]")
		p.idle()
		p.shoot(filepath.Join(folder, c.name+".png"))
	}
	pictureOfMemory(t, filepath.Join(folder, "web-memory.png"))
}

// shoot writes what the window shows into a file.
func (p *opened) shoot(path string) {
	p.t.Helper()
	var png []byte
	p.do(chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(path, png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// pictureOfMemory shows what the embedded model remembers of a story.
func pictureOfMemory(t *testing.T, path string) {
	m, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := device.Open("cpu", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(m.Model, d, engine.Options{Slots: 2})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	demo, err := local.New(e, tok, local.Options{Names: []string{"demo"}, ID: "demo", Completion: completion.Options{Cache: statecache.Options{Host: 64 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(demo.Close(context.Background()), e.Close(), d.Close(), m.Close()); err != nil {
			t.Error(err)
		}
	})
	itsOwn := func(o *chat.Options) {
		o.Dialect = prompt.Choose(prompt.Model{Version: m.Version, Meta: m.File.Meta}).Dialect
	}
	p := open(t, setup{model: demo, w: 1300, h: 860, elsewise: itsOwn})
	p.do(colours("dark"), chromedp.Evaluate(`localStorage.setItem('rwkv-gpu.settings', '{"max_tokens":400,"seed":1}')`, nil), reload())
	p.ask("Tell me a story about a fox who finds a lantern")
	p.ask("What did the fox find?")
	p.look()
	p.click("#memory-before")
	p.looked()
	p.shoot(path)
}

// think lets models think as long as they like.
func think(o *chat.Options) { o.Think = prompt.ThinkFree }
