package web_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdp "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// states opens the list of states and waits for it.
func (p *opened) states() {
	p.t.Helper()
	p.click("#states-open")
	p.done()
}

// done waits until what was asked of the list is done.
func (p *opened) done() {
	p.t.Helper()
	p.until(`document.querySelector('#states').open && !document.querySelector('#states').hasAttribute('aria-busy')`)
}

func (p *opened) named() []string {
	p.t.Helper()
	return js[[]string](p, `[...document.querySelectorAll('#states-list .name')].map((n) => n.firstChild.textContent)`)
}

// A state is saved under a name, and a new chat goes on from it: the text before is not sent again, and the model has read it.
func TestStatesOnPage(t *testing.T) {
	p := open(t, setup{})
	p.states()
	if !js[bool](p, `document.querySelector('#states-save button').disabled`) || p.text("#states-none") != "No state is kept yet." {
		t.Error("there is something to save before the first message")
	}
	p.click("#states-close")
	p.ask("hello")
	p.states()
	p.do(chromedp.Focus("#states-save input", chromedp.ByQuery), replaceText("the fox"))
	p.key("Enter", 13)
	p.until(`document.querySelectorAll('#states-list li').length === 1`)
	p.done()
	if got := p.text("#states-done"); got != "The state “the fox” is saved." {
		t.Errorf("%q", got)
	}
	if got := p.named(); !slices.Equal(got, []string{"the fox"}) {
		t.Errorf("%q", got)
	}
	p.click("#states-list [aria-label='Go on in a new chat from the state “the fox”']")
	p.until(`!document.querySelector('#states').open`)
	if got := p.text("#from"); got != "This chat goes on from the state “the fox”." {
		t.Errorf("%q", got)
	}
	p.ask("and then?")
	asked := p.model.Asked()
	last := asked[len(asked)-1]
	var before, text strings.Builder
	for _, id := range last.State.Data {
		before.Write(p.model.Tok.Bytes(int(id)))
	}
	for _, s := range last.Segments {
		text.WriteString(s.Text)
	}
	if before.String() != "User: hello\n\nAssistant: There was a fox.\n\n" || text.String() != "User: and then?\n\nAssistant:" {
		t.Errorf("the model has read %q and is asked %q", before.String(), text.String())
	}
	p.look()
	if got := js[string](p, `document.querySelector('#memory-at').ariaValueText`); got != "after message 2, an answer: “There was a fox.”, 3 of 3" {
		t.Errorf("%q", got)
	}
	p.click("#memory-close")
	p.do(reload())
	p.click("#chat-list .name")
	if got := p.text("#from"); got != "This chat goes on from the state “the fox”." {
		t.Errorf("after the page was loaded anew: %q", got)
	}
	p.do(chromedp.EmulateViewport(1400, 800)) // where the panel stays open beside the list
	p.states()
	p.click("#states-list [aria-label^='Look at']")
	p.looked()
	if got := p.text("#memory-where"); got != "kept state “the fox”" {
		t.Errorf("%q is shown", got)
	}
	p.states()
	p.click("#states-list [aria-label^='Delete']")
	p.click("#states-list .strong")
	p.until(`document.querySelectorAll('#states-list li').length === 0`)
	p.done()
	if got := p.text("#memory-where"); got == "kept state “the fox”" {
		t.Error("a state that is deleted is still shown")
	}
}

// A state is deleted once it was said twice. A chat that goes on from it says what is wrong then.
func TestStateDeleted(t *testing.T) {
	p := open(t, setup{})
	p.ask("hello")
	p.states()
	p.click("#states-save button")
	p.until(`document.querySelectorAll('#states-list li').length === 1`)
	p.click("#states-list [aria-label^='Go on']")
	p.states()
	p.click("#states-list [aria-label^='Delete']")
	if at := js[string](p, `document.activeElement.textContent`); at != "Keep it" {
		t.Errorf("%q has the focus", at)
	}
	p.key("Enter", 13)
	if at := js[string](p, `document.activeElement.ariaLabel`); at != "Delete the state “hello”" || len(p.named()) != 1 {
		t.Errorf("%q has the focus, states %q", at, p.named())
	}
	p.key("Enter", 13)
	p.click("#states-list .strong")
	p.until(`document.querySelectorAll('#states-list li').length === 0`)
	p.done()
	if got := p.text("#states-done"); got != "The state “hello” is deleted." {
		t.Errorf("%q", got)
	}
	p.click("#states-close")
	p.ask("and then?")
	if got := p.text(".assistant .problem"); !strings.Contains(got, "there is no state of this id") || !strings.HasSuffix(got, "Upload it again, or begin a new chat.") {
		t.Errorf("%q", got)
	}
}

// Two Enters save one state, and one that another tab has deleted goes from the list when it is asked for.
func TestStatesAtOnce(t *testing.T) {
	p := open(t, setup{})
	p.ask("hello")
	p.states()
	p.do(chromedp.Evaluate(`(() => { const f = document.querySelector('#states-save'); f.requestSubmit(); f.requestSubmit(); })()`, nil))
	p.until(`document.querySelectorAll('#states-list li').length > 0`)
	p.done()
	p.do(chromedp.Evaluate(`document.querySelector('#states-close').click()`, nil))
	p.states()
	if got := p.named(); len(got) != 1 {
		t.Fatalf("states %q", got)
	}
	id := js[string](p, `fetch('v1/states').then((a) => a.json()).then((l) => l.data[0].id)`)
	if got := js[int](p, `fetch('v1/states/`+id+`', {method: 'DELETE'}).then((a) => a.status)`); got != 200 {
		t.Fatalf("status %d", got)
	}
	p.click("#states-list [aria-label^='Delete']")
	p.click("#states-list .strong")
	p.until(`document.querySelectorAll('#states-list li').length === 0`)
	p.done()
	if got := p.text("#states-problem"); !strings.Contains(got, "there is no state of this id") {
		t.Errorf("%q", got)
	}
}

// The file of a state comes back as another state; a file that is none is refused, and nothing stays of it.
func TestStateFilesOnPage(t *testing.T) {
	p := open(t, setup{})
	folder := t.TempDir()
	p.do(chromedp.ActionFunc(func(ctx context.Context) error {
		return cdp.SetDownloadBehavior(cdp.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(folder).WithEventsEnabled(true).
			WithBrowserContextID(chromedp.FromContext(ctx).BrowserContextID).Do(ctx)
	}))
	p.ask("hello")
	p.states()
	p.click("#states-save button")
	p.until(`document.querySelectorAll('#states-list li').length === 1`)
	p.done()
	p.click("#states-list [aria-label^='Download']")
	p.until(`document.querySelector('#states-done').textContent === 'The state “hello” is downloaded.'`)
	file := filepath.Join(folder, "hello.safetensors")
	for _, err := os.Stat(file); err != nil; _, err = os.Stat(file) {
		p.do(chromedp.Sleep(5 * 1e6)) // between two looks
	}
	other := filepath.Join(folder, "other.st")
	if err := os.WriteFile(other, []byte("no state"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.do(chromedp.SetUploadFiles("#states-upload input", []string{file}, chromedp.ByQuery))
	p.until(`document.querySelectorAll('#states-list li').length === 2`)
	p.done()
	p.do(chromedp.SetUploadFiles("#states-upload input", []string{other}, chromedp.ByQuery))
	p.until(`!document.querySelector('#states-problem').hidden`)
	p.done()
	if got := p.text("#states-problem"); !strings.HasPrefix(got, "content: want form: the file of a state") || !strings.HasSuffix(got, "Choose the file of a state of this model.") {
		t.Errorf("%q", got)
	}
	p.click("#states-close")
	p.states()
	if got := p.named(); !slices.Equal(got, []string{"hello", "hello"}) {
		t.Errorf("%q", got)
	}
	got := js[[]string](p, `Promise.all([0, 1].map(async (i) => {
		const {data} = await (await fetch('v1/states')).json();
		return (await fetch('v1/states/' + data[i].id + '/content')).text();
	}))`)
	if got[0] != got[1] || !strings.Contains(got[0], `"ids"`) {
		t.Errorf("the files differ: %q", fmt.Sprint(got))
	}
}
