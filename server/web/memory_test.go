package web_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/state"
	"github.com/rwkv-gpu/rwkv-gpu/model/state/picture"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// painter returns what makes pictures of states that a model of a version might have after the ids which the scripted model
// has read: it forgets a part with each, and remembers what is random and the id's own.
func painter(t *testing.T, version string) func(*api.State, api.Drawing) ([]byte, error) {
	t.Helper()
	size := weightstest.Size{Vocab: 67, Embed: 64, Layers: 4, Head: 16, FFN: 64, W: 4, A: 4, V: 4, G: 4}
	f, err := weights.Parse("made up", weightstest.Safetensors(weightstest.RWKV(version, size, tensor.F16, 1), nil))
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(f)
	if err != nil {
		t.Fatal(err)
	}
	return func(s *api.State, d api.Drawing) ([]byte, error) {
		data, err := picture.Encode(m, &state.State{Data: memory(m, s.Data), Tokens: s.Tokens}, picture.Options{Size: d.Size, Layer: d.Layer, Head: d.Head})
		var bad *picture.OptionError
		if errors.As(err, &bad) {
			return nil, wire.Wrong(bad.Field, bad.Want, bad.Got)
		}
		return data, err
	}
}

func memory(m *model.Model, ids []float32) []float32 {
	x := make([]float32, m.Program.StateLen())
	for _, id := range ids {
		rng := rand.New(rand.NewPCG(uint64(id), 1))
		for i := range x {
			x[i] = x[i]*0.9 + float32(rng.NormFloat64())
		}
	}
	return x
}

// look opens the panel and waits for its picture.
func (p *opened) look() {
	p.t.Helper()
	p.click("#memory-open")
	p.until(`document.querySelector('#memory').open`)
	p.looked()
}

// looked waits until the picture that was asked for is shown.
func (p *opened) looked() {
	p.t.Helper()
	p.until(`!document.querySelector('#memory').hasAttribute('aria-busy') && document.querySelectorAll('#memory-layers canvas').length > 0`)
	if problem := p.text("#memory-problem:not([hidden])"); problem != "" {
		p.t.Fatal(problem)
	}
}

// pixels returns a canvas as an address.
func (p *opened) pixels(selector string) string {
	p.t.Helper()
	return js[string](p, fmt.Sprintf(`document.querySelector(%q).toDataURL()`, selector))
}

// The panel shows the state after each message, whose pictures differ and come back, and says it in words.
func TestMemory(t *testing.T) {
	p := open(t, setup{})
	p.click("#memory-open")
	p.until(`document.querySelector('#memory').open`)
	if got := p.text("#memory-none"); got != "There is nothing to see before the first message." {
		t.Errorf("%q", got)
	}
	p.click("#memory-close")
	p.until(`!('memory' in document.body.dataset)`) // the focus has gone back to the button then
	p.ask("hello")
	p.ask("and more")
	p.look()
	if got := js[string](p, `(({min, max, value, ariaValueText}) => [min, max, value, ariaValueText].join())(document.querySelector('#memory-at'))`); got != "0,3,3,after message 4, an answer: “There was a fox.”, 4 of 4" {
		t.Errorf("slider %q", got)
	}
	if got := js[string](p, `document.activeElement.id`); got != "memory-at" {
		t.Errorf("%q has the focus", got)
	}
	last := p.pixels("#memory-layers canvas")
	p.key("ArrowLeft", 37)
	p.key("ArrowLeft", 37)
	p.until(`document.querySelector('#memory-where').textContent === 'after message 2, an answer: “There was a fox.”'`)
	p.looked()
	before := p.pixels("#memory-layers canvas")
	if before == last {
		t.Error("two states have the same picture")
	}
	if got := p.text("#memory-tokens"); !strings.HasSuffix(got, " tokens read") {
		t.Errorf("%q", got)
	}
	p.key("End", 35)
	p.until(`document.querySelector('#memory-where').textContent.startsWith('after message 4')`)
	p.looked()
	if p.pixels("#memory-layers canvas") != last {
		t.Error("a state has another picture when it is looked at again")
	}
	asked := len(p.model.Read())
	p.click("#memory-before")
	p.click("#memory-after")
	p.looked()
	if got := len(p.model.Read()); got > asked+3 { // one that was given up before may be counted late
		t.Errorf("%d more requests for pictures", got-asked)
	}
	p.do(chromedp.Evaluate(`document.querySelector('#memory-table').open = true`, nil))
	p.until(`document.querySelectorAll('#memory-table tbody tr').length === 4`)
	table := js[[]string](p, `[...document.querySelectorAll('#memory-table tbody tr:first-child > *')].map((c) => c.textContent)`)
	said := js[string](p, `document.querySelector('#memory-layers canvas').ariaLabel`)
	if len(table) != 5 || !strings.HasPrefix(said, "Layer 0: norms from ") || !slices.ContainsFunc(table[1:], func(n string) bool { return strings.Contains(said, " to "+n+",") }) {
		t.Errorf("table %q, label %q", table, said)
	}
}

// One head is shown in full, chosen by number or by a click, in the colours that are asked for.
func TestMemoryOfHead(t *testing.T) {
	p := open(t, setup{})
	p.ask("hello")
	p.look()
	first := p.pixels("#memory-one")
	p.do(chromedp.Focus("#memory-head", chromedp.ByQuery))
	p.key("ArrowUp", 38)
	p.until(`document.querySelector('#memory-text').textContent.startsWith('Layer 0, head 1: norm ')`)
	p.looked()
	if p.pixels("#memory-one") == first {
		t.Error("two heads have the same picture")
	}
	p.do(chromedp.Focus("#memory-layer", chromedp.ByQuery), replaceText("9"))
	if got := p.text("#memory-text"); !strings.HasPrefix(got, "Layer 0, head 1") {
		t.Errorf("of a layer that is not there: %q", got)
	}
	p.do(chromedp.Evaluate(`(() => { const c = document.querySelectorAll('#memory-layers canvas')[2], b = c.getBoundingClientRect();
		c.dispatchEvent(new MouseEvent('click', {clientX: b.left + b.width * .9, clientY: b.top + 2})); })()`, nil))
	p.until(`document.querySelector('#memory-text').textContent.startsWith('Layer 2, head 3: norm ')`)
	p.looked()
	if got := js[string](p, `[document.querySelector('#memory-layer').value, document.querySelector('#memory-head').value].join()`); got != "2,3" {
		t.Errorf("fields %s", got)
	}
	const all = `[...document.querySelectorAll('#memory-layers canvas')].map((c) => c.toDataURL()).join()`
	each := js[string](p, all)
	p.do(chromedp.Evaluate(`(() => { const s = document.querySelector('#memory-scale'); s.value = 'all'; s.dispatchEvent(new Event('change')); })()`, nil))
	if js[string](p, all) == each || !strings.HasPrefix(p.text("#memory-legend"), "up to ±") {
		t.Errorf("the colours of all layers are those of each; %q", p.text("#memory-legend"))
	}
	light := p.pixels("#memory-layers canvas")
	p.do(colours("dark"))
	p.until(fmt.Sprintf(`document.querySelector('#memory-layers canvas').toDataURL() !== %q`, light))
}

// Each version of RWKV has its picture, RWKV-4 one of vectors.
func TestMemoryOfVersions(t *testing.T) {
	for version, wants := range map[string][2]string{
		"v4":   {"Layer 0: norms from ", "Layer 0, att_aa: norm "},
		"v5.2": {"Layer 0: norms from ", "Layer 0, head 0: norm "},
		"v6":   {"Layer 0: norms from ", "Layer 0, head 0: norm "},
	} {
		p := open(t, setup{version: version})
		p.ask("hello")
		p.look()
		if got := js[string](p, `document.querySelector('#memory-layers canvas').ariaLabel`); !strings.HasPrefix(got, wants[0]) {
			t.Errorf("%s: %q", version, got)
		}
		text := p.text("#memory-text")
		if !strings.HasPrefix(text, wants[1]) || (version == "v4") != strings.Contains(text, "att_pp: norm ") {
			t.Errorf("%s: %q", version, text)
		}
		if heads := js[bool](p, `document.querySelector('#memory-head').checkVisibility()`); heads != (version != "v4") {
			t.Errorf("%s: a field for heads: %v", version, heads)
		}
	}
}

// While an answer is written, its state so far is shown, and who looks at an earlier one stays there.
func TestMemoryLive(t *testing.T) {
	p := open(t, setup{gated: true, w: 1400, h: 800, answer: func(string) string { return " one two three four five six" }})
	p.lookAtNothing()
	p.say("count")
	p.key("Enter", 13)
	p.until(`document.querySelector('#memory-where').textContent === 'after message 1, yours: “count”'`)
	p.gate <- struct{}{}
	p.until(`document.querySelector('#memory-where').textContent.startsWith('after message 2, an answer so far: “one')`)
	p.looked()
	begun := p.text("#memory-tokens")
	for range 20 {
		p.gate <- struct{}{}
	}
	p.idle()
	p.until(`document.querySelector('#memory-where').textContent === 'after message 2, an answer: “one two three four five six”'`)
	p.looked()
	if p.text("#memory-tokens") == begun {
		t.Errorf("the end of the answer is shown as its beginning is: %s", begun)
	}
	p.click("#memory-before")
	p.ask("again")
	if got := p.text("#memory-where"); got != "after message 1, yours: “count”" {
		t.Errorf("after one more answer %q is shown", got)
	}
}

// lookAtNothing opens the panel where there is nothing to see yet.
func (p *opened) lookAtNothing() {
	p.t.Helper()
	p.click("#memory-open")
	p.until(`document.querySelector('#memory').open && document.querySelector('#memory-none').checkVisibility()`)
}

// Who types a message before the server has answered what there is to see keeps the focus, and the panel stays.
func TestMemoryLate(t *testing.T) {
	p := open(t, setup{w: 1400, h: 800})
	p.do(chromedp.Evaluate(`(() => { const asked = fetch; window.fetch = (...all) => new Promise((done) => { window.goOn = () => {
		window.fetch = asked;
		done(asked(...all));
	}; }); })()`, nil))
	p.click("#memory-open")
	p.until(`document.querySelector('#memory').open && 'goOn' in window`)
	p.say("hello")
	js[any](p, `window.goOn()`)
	p.until(`document.querySelector('#memory-none').checkVisibility()`)
	p.key("Enter", 13)
	p.until(`document.querySelector('#memory-where').textContent.startsWith('after message 2, an answer: ')`)
	p.looked()
}

// An error of the server is told, and the next look tries again.
func TestMemoryErrors(t *testing.T) {
	fail := error(nil)
	p := open(t, setup{fail: func(*api.Request) error { return fail }})
	p.ask("hello")
	fail = fmt.Errorf("x: %w", api.ErrBusy)
	p.click("#memory-open")
	p.until(`document.querySelector('#memory-problem').innerText.startsWith('too many requests wait already')`)
	fail = nil
	p.do(chromedp.Focus("#memory-layer", chromedp.ByQuery))
	p.key("ArrowUp", 38)
	p.until(`document.querySelectorAll('#memory-layers canvas').length > 0`)
	p.looked()
	// Another head of a state whose picture has not come is a head of that state, not of the one before.
	fail = fmt.Errorf("x: %w", api.ErrBusy)
	p.click("#memory-before")
	p.until(`document.querySelector('#memory-problem').checkVisibility()`)
	fail = nil
	p.do(chromedp.Evaluate(`document.querySelector('#memory-table').open = true`, nil), chromedp.Focus("#memory-head", chromedp.ByQuery))
	p.key("ArrowUp", 38)
	p.until(`!document.querySelector('#memory-problem').checkVisibility()`)
	p.looked()
	if got, want := p.text("#memory-table caption"), "Norms "+p.text("#memory-where"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// The panel is reached and left by the keyboard: beside the conversation on a wide page, over it on others.
func TestMemoryKeyboard(t *testing.T) {
	for _, width := range []int64{1400, 700} {
		p := open(t, setup{w: width, h: 760})
		p.ask("hello")
		p.tabTo("memory-open", input.ModifierShift)
		p.key("Enter", 13)
		p.until(`document.activeElement.id === 'memory-at'`)
		p.looked()
		for _, what := range []string{"memory-layers", "memory-scale", "memory-layer", "memory-head"} {
			p.tabTo(what)
		}
		if width == 700 {
			p.key("Escape", 27)
		} else {
			p.tabTo("memory-close", input.ModifierShift)
			p.key("Enter", 13)
		}
		p.until(`!document.querySelector('#memory').open`)
		if at := p.focused(); at != "memory-open" {
			t.Errorf("%d px: after the panel %q has the focus", width, at)
		}
	}
}
