package web_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// focused returns what has the focus: its id, what it does, or its name.
func (p *opened) focused() string {
	p.t.Helper()
	return js[string](p, `(({id, dataset, name, ariaLabel, innerText}) => id || dataset.do || name || ariaLabel || innerText)(document.activeElement)`)
}

// tabTo presses Tab until something has the focus.
func (p *opened) tabTo(what string, modifiers ...input.Modifier) {
	p.t.Helper()
	var passed []string
	for range 60 {
		p.key("Tab", 9, modifiers...)
		at := p.focused()
		if at == what {
			if width := js[string](p, `getComputedStyle(document.activeElement).outlineWidth`); width != "2px" {
				p.t.Errorf("%s has the focus, and nothing shows it", what)
			}
			return
		}
		passed = append(passed, at)
	}
	p.t.Fatalf("Tab does not reach %s, but %q", what, passed)
}

// All can be done by the keyboard alone.
func TestKeyboard(t *testing.T) {
	p := open(t, setup{})
	if at := p.focused(); at != "input" {
		t.Errorf("at first %q has the focus", at)
	}
	p.ask("hello")
	if at := p.focused(); at != "input" {
		t.Errorf("after an answer %q has the focus", at)
	}
	p.key("Enter", 13)
	if got := len(p.bodies()); got != 2 {
		t.Errorf("an empty message is sent: %d messages", got)
	}
	p.say("two")
	p.key("Enter", 13, input.ModifierShift)
	if got := js[string](p, `document.querySelector('#input').value`); got != "two\n" {
		t.Errorf("Shift+Enter: %q", got)
	}
	p.tabTo("again", input.ModifierShift) // of the answer
	p.key("Enter", 13)
	p.idle()
	p.tabTo("back", input.ModifierShift)
	p.key("Enter", 13)
	if got := js[string](p, `document.querySelector('.assistant .which').textContent`); got != "Version 1 / 2" {
		t.Errorf("version %q", got)
	}
	if at := p.focused(); at == "" || at == "input" {
		t.Errorf("after a walk between versions %q has the focus", at)
	}
	p.tabTo("edit", input.ModifierShift)
	p.tabTo("edit", input.ModifierShift) // of the question
	p.key("Enter", 13)
	p.until(`document.activeElement.matches('.edit textarea')`)
	p.key("Escape", 27)
	if at := p.focused(); at != "edit" {
		t.Errorf("after an edit is given up %q has the focus", at)
	}
	p.tabTo("settings-open", input.ModifierShift)
	p.key("Enter", 13)
	p.until(`document.activeElement.name === 'system'`)
	p.key("Escape", 27)
	p.until(`!document.querySelector('#settings').open`)
	if at := p.focused(); at != "settings-open" {
		t.Errorf("after the settings %q has the focus", at)
	}
	p.tabTo("new", input.ModifierShift)
	p.key("Enter", 13)
	if at := p.focused(); at != "input" || len(p.bodies()) != 0 {
		t.Errorf("in a new chat %q has the focus", at)
	}
}

const wide = "a_very_long_word_" + "that_does_not_end_that_does_not_end_that_does_not_end_that_does_not_end_that_does_not_end"

// A message that is being edited stays as it is while an answer comes, and is sent after it.
func TestEditMeanwhile(t *testing.T) {
	p := open(t, setup{gated: true, answer: func(string) string { return " one two" }})
	for range 3 {
		p.gate <- struct{}{}
	}
	p.ask("hello")
	p.click(".user [data-do=edit]")
	p.do(replaceText("good day"))
	p.say("more")
	p.key("Enter", 13)
	p.until(`document.querySelector('#send').title === 'Stop'`)
	p.do(chromedp.Focus(".editing textarea", chromedp.ByQuery), input.InsertText(" to you"))
	p.key("Enter", 13)
	p.until(`document.querySelector('#notice').checkVisibility() && document.querySelector('#notice').innerText.startsWith('An answer is being written.')`)
	for range 20 {
		p.gate <- struct{}{}
	}
	p.idle()
	const state = `[document.querySelector('.editing textarea')?.value, document.activeElement.closest('li')?.className, document.querySelectorAll('#messages > li').length].join()`
	if got := js[string](p, state); got != "good day to you,user editing,4" {
		t.Errorf("the message that is edited, what has the focus, and the number of messages: %s", got)
	}
	p.key("Enter", 13)
	p.until(`document.querySelectorAll('#messages > li').length === 2 && document.querySelector('#send').title === 'Send'`)
	if got := p.bodies(); !slices.Equal(got, []string{"good day to you", "one two"}) {
		t.Errorf("%q", got)
	}
}

// On a phone nothing lies beside the page, and the chats open over it.
func TestNarrow(t *testing.T) {
	p := open(t, setup{w: 360, h: 700, elsewise: think, answer: func(string) string {
		return ">" + wide + "</think>" + showcase + "\n\n" + wide + "\n\n```\n" + wide + wide + "\n```\n\n- " + wide
	}})
	fits := func(when string) {
		t.Helper()
		got := js[string](p, `[...document.querySelectorAll('body, body *')].filter((e) => e.getClientRects().length && e.tagName !== 'CODE' &&
			!e.closest('svg, .hidden, .skip') && e.getBoundingClientRect().right > 360.5).map((e) => e.tagName + '.' + e.className).join() + [document.documentElement, document.querySelector('#scroll'), document.querySelector('#settings'), document.querySelector('#chats'), document.querySelector('#states'), document.querySelector('#memory')].filter((e) => e.scrollWidth > e.clientWidth).map((e) => ' scrolls: ' + e.id).join()`)
		if got != "" {
			t.Errorf("%s: beyond 360 px: %s", when, got)
		}
	}
	fits("at first")
	p.ask(wide)
	p.click(".thought summary")
	fits("with an answer")
	p.click(".user [data-do=again]")
	p.idle()
	p.click(".assistant [data-do=edit]")
	fits("while editing")
	p.key("Escape", 27)
	p.click("#menu")
	p.until(`document.querySelector('#chats').matches(':popover-open')`)
	fits("with the chats")
	p.key("Escape", 27)
	p.until(`!document.querySelector('#chats').matches(':popover-open')`)
	p.click("#settings-open")
	fits("with the settings")
	p.key("Escape", 27)
	p.states()
	p.do(replaceText(wide))
	p.key("Enter", 13)
	p.until(`document.querySelectorAll('#states-list li').length === 1`)
	p.done()
	fits("with the states")
	p.click("#states-list [aria-label^='Delete']")
	fits("with a state that is about to be deleted")
	p.key("Enter", 13)
	p.click("#states-list [aria-label^='Look at']")
	p.looked()
	fits("with the memory")
}

// The settings go with the request, and a preset's are those of package prompt.
func TestSettings(t *testing.T) {
	p := open(t, setup{})
	p.until(`document.querySelector('[name=preset]').length > 1`)
	p.click("#settings-open")
	p.do(input.InsertText("You are a fox."))
	choose := func(name, value string) {
		p.do(chromedp.Evaluate(fmt.Sprintf(`(() => { const f = document.querySelector('#settings form').elements[%q]; f.value = %q; f.dispatchEvent(new Event('change', {bubbles: true})); })()`, name, value), nil))
	}
	choose("preset", "creative")
	choose("think", "fast")
	p.do(chromedp.Focus(`[name=max_tokens]`, chromedp.ByQuery), replaceText("7"))
	p.key("Enter", 13)
	p.until(`!document.querySelector('#settings').open`)
	p.ask("hello")
	r := p.model.Asked()[0]
	if r.Params.Temperature != 0.6 || r.Params.TopP != 0.7 || r.Params.Presence != 1.5 || r.Params.Frequency != 0.2 || r.Params.PenaltyDecay != 0.99 || r.Max != 7 {
		t.Errorf("%+v, most %d", r.Params, r.Max)
	}
	if first := r.Segments[0].Text + r.Segments[1].Text; !strings.HasPrefix(first, "System: You are a fox.") {
		t.Errorf("%+v", r.Segments)
	}
	p.do(reload())
	p.click("#chat-list .name")
	p.click("#settings-open")
	p.until(`document.querySelector('[name=preset]').value === 'creative'`)
	if got := js[string](p, `['system', 'think', 'max_tokens'].map((n) => document.querySelector('#settings [name=' + n + ']').value).join()`); got != "You are a fox.,fast,7" {
		t.Errorf("after the page was loaded anew: %s", got)
	}
	p.click("#reset-numbers")
	p.key("Escape", 27)
	p.until(`!document.querySelector('#settings').open`)
	p.ask("again")
	if r := p.model.Asked()[1]; r.Max == 7 || r.Params.Temperature == 0.6 {
		t.Errorf("after a reset: %+v, most %d", r.Params, r.Max)
	}
}

// An error says what happened and what to do, and the message is not lost.
func TestErrors(t *testing.T) {
	fail := error(nil)
	p := open(t, setup{fail: func(*api.Request) error { return fail }})
	for i, c := range []struct {
		err   error
		wants string
	}{
		{fmt.Errorf("x: %w", api.ErrBusy), "too many requests wait already: try again later Try again in a moment."},
		{api.ErrDevice, "the device that runs the model does not work: try again later Try again in a moment."},
		{wire.Wrong("temperature", "one thing", "another"), "temperature: want one thing, got another Change it in the settings"},
		{errors.New("private"), "the server failed; its log says more The server's terminal says more."},
	} {
		fail = c.err
		if i == 0 {
			p.ask("hello")
		} else {
			p.click(".assistant [data-do=again]")
			p.idle()
		}
		if got := p.text(".assistant .problem"); !strings.Contains(got, c.wants) {
			t.Errorf("%v: %q", c.err, got)
		}
	}
	fail = nil
	p.click(".assistant [data-do=again]")
	p.idle()
	if got := p.bodies(); len(got) != 2 || got[1] != "There was a fox." {
		t.Errorf("%q", got)
	}
	p.site.CloseClientConnections()
	p.site.Close()
	p.ask("are you there?")
	if got := p.text("#messages > li:last-child .problem"); !strings.HasPrefix(got, "The server cannot be reached. See whether rwkv-gpu serve still runs") {
		t.Errorf("%q", got)
	}
}

// A kept chat that is damaged does not keep the page from others, and stays where it is.
func TestDamagedStorage(t *testing.T) {
	p := open(t, setup{})
	p.ask("hello")
	p.do(chromedp.Evaluate(`localStorage.setItem('rwkv-gpu.chat.x', '{"id":3}'), localStorage.setItem('rwkv-gpu.chat.y', 'no'), localStorage.setItem('rwkv-gpu.settings', '[')`, nil), reload())
	if got := p.text("#notice"); !strings.Contains(got, "2 kept chat(s) could not be read") {
		t.Errorf("%q", got)
	}
	if got := js[int](p, `localStorage.length`); got != 4 || p.text("#chat-list") != "hello" {
		t.Errorf("%d kept things, chats %q", got, p.text("#chat-list"))
	}
}

// What is shown of a text does not depend on how it is cut.
func TestCuts(t *testing.T) {
	p := open(t, setup{})
	got := js[string](p, `(async () => {
		const {Text} = await import('/web/text.js');
		const show = (pieces) => {
			const root = document.createElement('div'), text = new Text(root);
			for (const piece of pieces) text.push(piece);
			text.end();
			return new XMLSerializer().serializeToString(root);
		};
		let seed = 1;
		const random = (n) => (seed = seed * 48271 % 2147483647) % n;
		const parts = ['\n', '\n\n', '- ', '1. ', '  ', '**', '*', '_', '`+"`', '``', '```go\\n', '```"+`', '~~~', '# ', '> ', '---', 'word', ' ', 'é', '😀', '\ud83d', '<b>', '&amp;', '\r\n', '\t', '\0', 'x'.repeat(8001)];
		let marked = 0;
		for (let round = 0; round < 800; round++) {
			let text = '';
			for (let i = random(40); i >= 0; i--) text += parts[random(parts.length - (round % 10 ? 1 : 0))];
			const whole = show([text]);
			if (/<(strong|em|code|li|h3|blockquote)/.test(whole)) marked++;
			const pieces = [];
			for (let at = 0, n; at < text.length; at += n) pieces.push(text.slice(at, at + (n = 1 + random(round % 10 ? 4 : 900))));
			if (show(pieces) !== whole) return JSON.stringify([pieces, whole, show(pieces)]);
		}
		return marked > 250 ? '' : 'few texts have marks: ' + marked;
	})()`)
	if got != "" {
		t.Error(got)
	}
}

// axe finds nothing that keeps people out. RWKV_AXE names its program, which scripts/axe.sh gets and prints.
func TestAxe(t *testing.T) {
	file := os.Getenv("RWKV_AXE")
	if file == "" {
		t.Skip("RWKV_AXE names no file (RWKV_AXE=$(scripts/axe.sh))")
	}
	program, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{360, 1400} {
		for _, scheme := range []string{"light", "dark"} {
			p := open(t, setup{w: width, h: 760, elsewise: think, answer: func(string) string { return ">Well.</think>" + showcase }})
			p.do(colours(scheme), chromedp.Evaluate(string(program), nil))
			check := func(when string) {
				t.Helper()
				for _, found := range js[[]string](p, `axe.run().then((r) => r.violations.map((v) => v.impact + ': ' + v.id + ': ' + v.nodes.map((n) => n.html.slice(0, 160)).join('\n')))`) {
					t.Errorf("%d px, %s, %s: %s", width, scheme, when, found)
				}
			}
			check("at first")
			p.ask("hello")
			p.click(".assistant [data-do=again]")
			p.idle()
			check("with an answer")
			p.click(".user [data-do=edit]")
			check("while editing")
			p.key("Escape", 27)
			p.click("#settings-open")
			check("with the settings")
			p.key("Escape", 27)
			p.states()
			p.click("#states-save button")
			p.until(`document.querySelectorAll('#states-list li').length === 1`)
			p.done()
			check("with the states")
			p.click("#states-list [aria-label^='Look at']")
			p.looked()
			p.do(chromedp.Evaluate(`document.querySelector('#memory-table').open = true`, nil))
			check("with the memory")
		}
	}
}
