package web_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// again opens the page in one more tab of the same browser.
func (p *opened) again() *opened {
	p.t.Helper()
	other := *p
	tab, cancel := chromedp.NewContext(startBrowser(p.t))
	p.t.Cleanup(cancel)
	var stop func()
	other.ctx, stop = context.WithTimeout(tab, patience)
	p.t.Cleanup(stop)
	other.watch(stop)
	other.do(chromedp.EmulateViewport(1100, 760), chromedp.Navigate(p.url))
	other.until(`document.documentElement.dataset.ready === ''`)
	return &other
}

const titles = `[...document.querySelectorAll('#chat-list .name')].map((b) => b.textContent)`

// Two tabs show the same chats, and an answer that one of them reads comes whole to the other one.
func TestTabs(t *testing.T) {
	p := open(t, setup{gated: true, answer: func(string) string { return " one two three" }})
	other := p.again()
	for range 20 {
		p.gate <- struct{}{}
	}
	p.ask("count")
	other.until(`document.querySelectorAll('#chat-list li').length === 1`)
	other.click("#chat-list .name")
	if got := other.bodies(); !slices.Equal(got, []string{"count", "one two three"}) {
		t.Errorf("the other tab shows %q", got)
	}
	other.do(chromedp.Focus("#chat-list .name", chromedp.ByQuery))
	p.ask("once more")
	other.until(`document.querySelectorAll('#messages > li').length === 4`)
	if !js[bool](other, `document.activeElement.matches('#chat-list .name')`) {
		t.Error("what another tab writes takes the focus away")
	}
	p.click("#chat-list [data-now] .square")
	other.until(`document.querySelectorAll('#chat-list li').length === 0`)
	if got := other.bodies(); len(got) != 4 {
		t.Errorf("a chat that another tab has deleted is %q before the eyes of its reader", got)
	}
}

// A chat that another tab deletes while its answer comes stays deleted.
func TestTabsDeleted(t *testing.T) {
	p := open(t, setup{gated: true, answer: func(string) string { return " one two three" }})
	other := p.again()
	p.do(chromedp.Evaluate(`window.requestAnimationFrame = (f) => setTimeout(f)`, nil)) // which would wait until the tab is seen
	p.say("count")
	p.key("Enter", 13)
	p.gate <- struct{}{}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one'`)
	other.until(`document.querySelectorAll('#chat-list li').length === 1`)
	other.click("#chat-list .square")
	p.until(`document.querySelectorAll('#chat-list li').length === 0`)
	p.do(chromedp.Evaluate(`(() => { const now = Date.now; Date.now = () => now() + 10000; })()`, nil)) // it is time to keep what has come
	p.gate <- struct{}{}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one two'`)
	kept := `Object.keys(localStorage).filter((k) => k.startsWith('rwkv-gpu.chat.')).length`
	p.do(chromedp.Evaluate(`dispatchEvent(new Event('pagehide'))`, nil))
	if n := js[int](p, kept); n != 0 {
		t.Errorf("%d chats are kept while the answer comes", n)
	}
	for range 20 {
		p.gate <- struct{}{}
	}
	p.idle()
	if n := js[int](p, kept); n != 0 {
		t.Errorf("%d chats are kept after the answer", n)
	}
}

// A page that another tab has draw its messages anew shows nothing of an answer twice, although its own frames come late.
func TestTabsLateFrames(t *testing.T) {
	const thought, said = "Hm, well.", "one two three four five six seven eight nine ten eleven twelve"
	p := open(t, setup{gated: true, elsewise: think, answer: func(string) string { return "> " + thought + "</think> " + said }})
	p.do(chromedp.Evaluate(`(() => { window.late = []; window.seen = []; window.soon = window.requestAnimationFrame;
		window.requestAnimationFrame = (f) => window.late.push(f); })()`, nil)) // as in a tab that nobody sees
	p.say("count")
	p.key("Enter", 13)
	for range 12 {
		p.gate <- struct{}{}
	}
	p.until(`(() => {
		if (late.length) {
			dispatchEvent(new StorageEvent('storage')); // another tab has changed a chat
			late.splice(0).forEach((f) => f());
			seen.push(['.thought > div', '.assistant .body'].map((s) => document.querySelector(s).textContent.trim()).join(''));
		}
		return Boolean(seen.at(-1)?.includes('one'));
	})()`)
	for _, seen := range js[[]string](p, `seen`) {
		if !strings.HasPrefix(thought+said, seen) {
			t.Errorf("shown: %q", seen)
		}
	}
	p.do(chromedp.Evaluate(`(() => { window.requestAnimationFrame = window.soon; late.forEach((f) => f()); })()`, nil))
	for range 100 {
		p.gate <- struct{}{}
	}
	p.idle()
	if got := p.bodies(); !slices.Equal(got, []string{"count", said}) {
		t.Errorf("%q", got)
	}
}

// What two tabs write in the same chat at the same time is all kept: that of the second is a chat of its own.
func TestTabsAtOnce(t *testing.T) {
	p := open(t, setup{gated: true, answer: func(prompt string) string {
		if strings.Contains(prompt, "left") {
			return " L M N"
		}
		return " A B C"
	}})
	for range 4 {
		p.gate <- struct{}{}
	}
	p.ask("hello")
	other := p.again()
	other.click("#chat-list .name")
	p.say("left")
	p.key("Enter", 13)
	p.until(`document.querySelectorAll('#messages > li').length === 4`)
	// The other tab is told of it, and has not seen the answer when it asks.
	other.until(`document.querySelectorAll('#messages > li').length === 4`)
	other.click(".user [data-do=again]")
	other.until(`document.querySelector('#send').title === 'Stop'`)
	for range 20 {
		p.gate <- struct{}{}
	}
	p.idle()
	other.idle()
	for _, tab := range []*opened{p, other} {
		tab.until(titles + `.join() === 'hello (other tab),hello' || ` + titles + `.join() === 'hello,hello (other tab)'`)
	}
	all := js[string](p, `Object.entries(localStorage).filter(([k]) => k.startsWith('rwkv-gpu.chat.')).map(([, v]) => JSON.parse(v).nodes.filter((n) => n.text).map((n) => n.text).join('|')).sort().join('; ')`)
	if all != "hello|A B C|left|A B C; hello|A B C|left|L M N" {
		t.Errorf("kept: %s", all)
	}
}
