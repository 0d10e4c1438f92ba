package web_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
)

// A chat comes as it is written, Escape ends it, and what has come stays.
func TestStreamAndStop(t *testing.T) {
	p := open(t, setup{gated: true, cached: 5, answer: func(string) string { return " one two three four five six" }})
	p.say("count")
	p.key("Enter", 13)
	p.gate <- struct{}{}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one'`)
	places := `[...document.querySelectorAll('h1, #messages > li, .assistant :is(h2, .body, .foot), #composer, #send')].map((e) => Math.round(e.getBoundingClientRect().top)).join()`
	before := js[string](p, places)
	for range 2 {
		p.gate <- struct{}{}
	}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one two three'`)
	if status := p.text(".assistant .status"); !strings.Contains(status, "3 tokens") {
		t.Errorf("while it is written the status line says %q", status)
	}
	if got := js[string](p, places); got != before {
		t.Errorf("what is there moves while an answer comes: from %s to %s", before, got)
	}
	p.key("Escape", 27)
	p.idle()
	if got := js[string](p, places); got != before {
		t.Errorf("what is there moves when an answer ends: from %s to %s", before, got)
	}
	if got := p.bodies(); !slices.Equal(got, []string{"count", "one two three"}) {
		t.Errorf("%q", got)
	}
	if status := p.text(".assistant .status"); !strings.HasPrefix(status, "stopped") {
		t.Errorf("status %q", status)
	}
	p.until(`document.querySelector('#said').innerText === 'The answer is stopped.'`)

	for range 20 {
		p.gate <- struct{}{}
	}
	p.ask("again")
	if status := p.text("#messages > li:last-child .status"); !strings.Contains(status, "6 tokens · 5 of 24 prompt tokens cached") {
		t.Errorf("status %q", status)
	}
	if got := js[string](p, `import('/web/messages.js').then((m) => m.describe({finish: 'length', counted: true, drawn: 1, speed: 12.34, prompt: 9, cached: 4}))`); got !=
		"has the most tokens · 12.3 tokens/s · 1 token · 4 of 9 prompt tokens cached" {
		t.Errorf("status %q", got)
	}
	asked := p.model.Asked()
	var text strings.Builder
	for _, s := range asked[len(asked)-1].Segments {
		text.WriteString(s.Text)
	}
	if want := "User: count\n\nAssistant: one two three\n\nUser: again\n\nAssistant:"; text.String() != want {
		t.Errorf("the model was asked %q", text.String())
	}
	p.do(reload())
	p.until(`document.querySelectorAll('#chat-list li').length === 1`)
	p.click("#chat-list .name")
	if got := p.bodies(); len(got) != 4 || got[3] != "one two three four five six" {
		t.Errorf("after the page was loaded anew: %q", got)
	}
}

// An answer that was stopped goes on where it ended, and one that is complete has nothing to go on with.
func TestGoOn(t *testing.T) {
	p := open(t, setup{gated: true, answer: func(prompt string) string {
		if strings.HasSuffix(prompt, "Assistant: one two") {
			return " **three** four"
		}
		return " one two three"
	}})
	p.say("count")
	p.key("Enter", 13)
	for range 2 {
		p.gate <- struct{}{}
	}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one two'`)
	p.key("Escape", 27)
	p.idle()
	for range 20 {
		p.gate <- struct{}{}
	}
	p.click(".assistant [data-do=goOn]")
	p.idle()
	if got := p.bodies(); !slices.Equal(got, []string{"count", "one two three four"}) {
		t.Errorf("%q", got)
	}
	if got := js[string](p, `[document.querySelectorAll('[data-do=goOn]').length, document.querySelectorAll('.which').length, document.querySelector('.assistant strong').textContent].join()`); got != "0,0,three" {
		t.Errorf("%s", got)
	}
}

// What has come of an answer stays when the server goes in the midst of it, and the page says what to do.
func TestServerGoes(t *testing.T) {
	p := open(t, setup{gated: true, answer: func(string) string { return " one two three four" }})
	p.say("count")
	p.key("Enter", 13)
	p.gate <- struct{}{}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one'`)
	p.site.CloseClientConnections()
	p.idle()
	if got := p.bodies(); !slices.Equal(got, []string{"count", "one"}) {
		t.Errorf("%q", got)
	}
	if got := p.text(".assistant .problem"); !strings.HasPrefix(got, "The connection ") || !strings.HasSuffix(got, "See whether rwkv-gpu serve still runs, then try again.") {
		t.Errorf("%q", got)
	}
	p.do(reload())
	p.click("#chat-list .name")
	if got := p.text(".assistant .problem"); len(p.bodies()) != 2 || !strings.HasPrefix(got, "The connection ") {
		t.Errorf("after the page was loaded anew: %q, %q", p.bodies(), got)
	}
}

// An edit and another answer are versions beside the old ones, and a fork is a chat of its own.
func TestBranches(t *testing.T) {
	p := open(t, setup{answer: func(prompt string) string {
		asked := prompt[strings.LastIndex(prompt, "User:")+5:]
		return " You said " + strings.TrimSpace(strings.TrimSuffix(asked, "\n\nAssistant:")) + "."
	}})
	p.ask("red")
	p.ask("blue")
	p.click(".user [data-do=edit]")
	p.until(`document.activeElement.matches('.edit textarea')`)
	p.do(replaceText("green"))
	p.key("Enter", 13)
	p.until(`document.querySelectorAll('#messages > li').length === 2`)
	p.idle()
	check := func(what string, want ...string) {
		t.Helper()
		if got := p.bodies(); !slices.Equal(got, want) {
			t.Errorf("%s: %q", what, got)
		}
	}
	check("edited", "green", "You said green.")
	p.click(".user [data-do=back]")
	check("the version before", "red", "You said red.", "blue", "You said blue.")
	if got := js[string](p, `document.querySelector('.user .which').textContent`); got != "Version 1 / 2" {
		t.Errorf("version %q", got)
	}
	p.click("#messages > li:last-child [data-do=again]")
	p.idle()
	check("another answer", "red", "You said red.", "blue", "You said blue.")
	if got := js[int](p, `document.querySelectorAll('#messages > li:last-child [data-do=back]:enabled').length`); got != 1 {
		t.Errorf("%d ways back to the first answer", got)
	}
	p.click(".assistant [data-do=fork]")
	check("fork", "red", "You said red.")
	p.ask("white")
	check("fork, gone on", "red", "You said red.", "white", "You said white.")
	if got := js[int](p, `document.querySelectorAll('#chat-list li').length`); got != 2 {
		t.Errorf("%d chats", got)
	}
	p.click("#chat-list [data-now] .square")
	check("deleted", "red", "You said red.", "blue", "You said blue.")
	p.click("#notice .plain")
	check("undone", "red", "You said red.", "white", "You said white.")
	p.click("#messages > li:last-child [data-do=edit]")
	p.do(replaceText("I said white."))
	p.click(".edit .strong")
	check("an answer edited", "red", "You said red.", "white", "I said white.")
}

// Thoughts are folded.
func TestThoughts(t *testing.T) {
	p := open(t, setup{elsewise: think, answer: func(string) string { return ">Let me see.</think>It is so." }})
	p.ask("why?")
	if got := p.bodies(); !slices.Equal(got, []string{"why?", "It is so."}) {
		t.Errorf("%q", got)
	}
	if got := js[string](p, `(() => { const d = document.querySelector('.thought'); return [d.open, d.hidden, d.innerText, d.textContent].join() })()`); got != "false,false,Thoughts,ThoughtsLet me see." {
		t.Errorf("%q", got)
	}
}

// Whatever the model writes stays text.
func TestHostileText(t *testing.T) {
	hostile := "<img src=x onerror=alert(1)> </script><script>alert(2)</script> [a](javascript:alert(3)) ![b](http://example.com/x.png) <a href=\"javascript:alert(4)\">c</a>\n\n" +
		"```html\n<iframe srcdoc='<script>alert(5)</script>'></iframe>\n```\n\n- <svg onload=alert(6)>\n\n" +
		"# <style>*{display:none}</style>\n\n`<b>` **<i>x</i>** \x00\x1b[31m\x7f \u202eabc"
	p := open(t, setup{answer: func(string) string { return hostile + "</think>" }})
	p.ask("<img src=x onerror=alert(7)>")
	got := js[string](p, `[...document.querySelectorAll('#messages .body, #messages .body *, #title, #chat-list *')].map((e) => e.nodeName).filter((n) =>
		!['DIV', 'P', 'UL', 'LI', 'H3', 'CODE', 'PRE', 'SPAN', 'BUTTON', 'STRONG', 'H1', 'svg', 'use'].includes(n)).join()`)
	if got != "" {
		t.Errorf("elements of the text's own: %s", got)
	}
	all := js[string](p, `document.querySelector('.assistant .body').textContent`)
	for _, part := range []string{"<img src=x onerror=alert(1)> </script><script>alert(2)</script> [a](javascript:alert(3))", "<iframe srcdoc='<script>alert(5)</script>'></iframe>",
		"<svg onload=alert(6)>", "<style>*{display:none}</style>", "<b>", "<i>x</i>", "␀␛[31m␡"} {
		if !strings.Contains(all, part) {
			t.Errorf("%q is not in %q", part, all)
		}
	}
}

// A text of a megabyte comes whole, in one line and in many.
func TestLongText(t *testing.T) {
	text := strings.Repeat("<b> and **so** on ", 1<<19/18) + "\n" + strings.Repeat("a line of `text`\n\n", 1<<19/18)
	p := open(t, setup{})
	quoted, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	got := js[[]int](p, `(async () => {
		const {Text} = await import('/web/text.js'), root = document.createElement('div'), text = `+string(quoted)+`;
		const shown = new Text(root);
		for (let i = 0; i < text.length; i += 997) shown.push(text.slice(i, i + 997));
		shown.end();
		return [root.textContent.length, root.querySelectorAll('b').length, root.children.length];
	})()`)
	if got[0] < 900000 || got[1] != 0 || got[2] < 1<<19/18 {
		t.Errorf("characters, elements of the text's own, blocks: %v", got)
	}
}

// A server with keys asks for one, says when it is wrong, and keeps it no longer than the tab.
func TestKey(t *testing.T) {
	ring := new(keys.Ring)
	if err := ring.Add("ann", "key-a"); err != nil {
		t.Fatal(err)
	}
	p := open(t, setup{ring: ring})
	for _, key := range []string{"wrong", "key-a"} {
		p.until(`document.querySelector('#key').open`)
		p.do(replaceText(key))
		p.key("Enter", 13)
		p.until(`!document.querySelector('#key').open || document.querySelector('#key-wrong').innerText !== ''`)
	}
	p.until(`document.querySelector('#model').innerText === 'rwkv-test'`)
	p.ask("hello")
	if got := p.bodies(); len(got) != 2 || got[1] != "There was a fox." {
		t.Errorf("%q", got)
	}
	if got := js[string](p, `JSON.stringify(localStorage)`); strings.Contains(got, "key-a") {
		t.Errorf("the key outlives the tab: %s", got)
	}
}

// An answer that wants a key is written once there is one, as the same version: the rest of one that had begun too.
func TestKeyOfAnswer(t *testing.T) {
	ring := new(keys.Ring)
	if err := ring.Add("ann", "key-a"); err != nil {
		t.Fatal(err)
	}
	p := open(t, setup{ring: ring, gated: true, answer: func(prompt string) string {
		if strings.HasSuffix(prompt, "Assistant: one two") {
			return " three four"
		}
		return " one two three"
	}})
	give := func() {
		t.Helper()
		p.until(`document.querySelector('#key').open`)
		p.do(replaceText("key-a"))
		p.key("Enter", 13)
		p.until(`!document.querySelector('#key').open`)
	}
	lose := func() { js[any](p, `sessionStorage.clear()`) }
	give()
	p.until(`document.querySelector('#model').innerText === 'rwkv-test'`)
	lose()
	p.say("count")
	p.key("Enter", 13)
	give()
	for range 2 {
		p.gate <- struct{}{}
	}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one two'`)
	p.key("Escape", 27)
	p.idle()
	lose()
	p.click(".assistant [data-do=goOn]")
	give()
	for range 20 {
		p.gate <- struct{}{}
	}
	p.until(`document.querySelector('.assistant .body')?.innerText === 'one two three four'`)
	p.idle()
	if got := js[int](p, `document.querySelectorAll('.which').length`); got != 0 {
		t.Errorf("%d messages have versions", got)
	}
}

// The files come with their types and tags, and with a policy that lets in nothing from elsewhere.
func TestFiles(t *testing.T) {
	p := serve(t, setup{})
	for path, kind := range map[string]string{"": "text/html; charset=utf-8", "web/app.js": "text/javascript; charset=utf-8", "web/style.css": "text/css; charset=utf-8",
		"web/icon.svg": "image/svg+xml", "web/choices.json": "application/json"} {
		for _, tag := range []string{"", "same"} {
			r, err := http.Get(p.url + path)
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			want := http.StatusOK
			if tag != "" {
				again, err := http.NewRequest(http.MethodGet, p.url+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				again.Header.Set("If-None-Match", r.Header.Get("ETag"))
				if r, err = http.DefaultClient.Do(again); err != nil {
					t.Fatal(err)
				}
				r.Body.Close()
				want = http.StatusNotModified
			}
			if r.StatusCode != want || want == http.StatusOK && r.Header.Get("Content-Type") != kind || !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';") {
				t.Errorf("%s: %d %v", path, r.StatusCode, r.Header)
			}
		}
	}
	for _, path := range []string{"web/none.js", "web/index.html", "web/", "index.html"} {
		r, err := http.Get(p.url + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}
