package web_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
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
	}{{"web-light", "light", 1100, 760}, {"web-dark", "dark", 1100, 760}, {"web-360", "light", 360, 740}, {"web-360-dark", "dark", 360, 740}, {"web-wide", "light", 1900, 900}} {
		p := open(t, setup{w: c.w, h: c.h, answer: func(string) string {
			return ">A string holds bytes, and a character may have several. Runes, then.</think>" + showcase
		}, elsewise: think})
		shot := func(name string) {
			var png []byte
			p.do(chromedp.CaptureScreenshot(&png))
			if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		p.do(chromedp.ActionFunc(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: c.scheme}}).Do))
		shot(c.name + "-empty")
		p.ask("Tell me a story about a fox")
		p.do(chromedp.Evaluate(`document.querySelector('#new').click()`, nil))
		p.ask("Why is the sky blue?")
		p.do(chromedp.Evaluate(`document.querySelector('#new').click()`, nil))
		p.ask("Write a Go function that reverses a string, and say how it works")
		p.do(chromedp.Evaluate(`document.querySelector('.assistant [data-do=again]').click()`, nil))
		p.idle()
		shot(c.name)
		p.click("#settings-open")
		shot(c.name + "-settings")
	}
}

// think lets models think as long as they like.
func think(o *chat.Options) { o.Think = prompt.ThinkFree }
