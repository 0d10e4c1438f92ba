package web_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
	"github.com/rwkv-gpu/rwkv-gpu/server/web"
)

// patience is how long a test waits for the page: far longer than it takes, for machines that do much else.
const patience = 2 * time.Minute

// browser is the one that all tests share, each in a tab of its own. Each server has a port, and so a storage, of its own.
var browser struct {
	sync.Once
	ctx    context.Context
	cancel func()
	err    error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if browser.cancel != nil {
		browser.cancel()
	}
	os.Exit(status)
}

func startBrowser(t *testing.T) context.Context {
	t.Helper()
	program := os.Getenv("RWKV_CHROMIUM")
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); program == "" && err == nil {
			program = found
		}
	}
	if program == "" && os.Getenv("RWKV_REQUIRE_CHROMIUM") == "1" {
		t.Fatal("no Chromium here, and RWKV_REQUIRE_CHROMIUM=1")
	}
	if program == "" {
		t.Skip("no Chromium here (RWKV_CHROMIUM=PROGRAM names one)")
	}
	browser.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, // as root, in containers
			chromedp.WSURLReadTimeout(patience), chromedp.Flag("disable-dev-shm-usage", true))
		ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
		browser.ctx, browser.cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {})) // of events newer than chromedp
		browser.err = chromedp.Run(browser.ctx)
		if browser.err != nil {
			stop()
		}
	})
	if browser.err != nil {
		t.Fatal(browser.err)
	}
	return browser.ctx
}

// opened is a page in a window, over a scripted model.
type opened struct {
	t     *testing.T
	ctx   context.Context
	model *scripted.Model
	url   string
	site  *httptest.Server
	gate  chan struct{} // if the answer waits, a token comes for each element
}

// remembering is a scripted model that has read the first tokens of every prompt before, as many as it says.
type remembering struct {
	*scripted.Model
	cached int
}

type remembered struct {
	api.Stream
	cached int
}

func (m remembering) Start(ctx context.Context, list []api.Request) ([]api.Stream, error) {
	all, err := m.Model.Start(ctx, list)
	for i, s := range all {
		all[i] = remembered{s, m.cached}
	}
	return all, err
}

func (s remembered) Result() api.Result {
	r := s.Stream.Result()
	r.Cached = min(s.cached, r.Prompt)
	return r
}

// setup changes a server before it starts.
type setup struct {
	answer   func(prompt string) string
	gated    bool                            // reports whether tokens wait for opened.gate
	pause    func(ctx context.Context) error // before each token, where nothing is gated
	cached   int                             // tokens of every prompt
	ring     *keys.Ring
	w, h     int64
	fail     func(r *api.Request) error
	elsewise func(p *chat.Options)
	model    api.Model // in place of the scripted one
	version  string    // of the model whose pictures of states are shown; v7 if nothing is said
}

// serve starts a server.
func serve(t *testing.T, s setup) *opened {
	t.Helper()
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := &opened{t: t, gate: make(chan struct{}, 1000)}
	p.model = &scripted.Model{Tok: tok, Fail: s.fail, What: api.Info{Name: "rwkv-test", Fingerprint: "fp", Created: time.Unix(1e9, 0), Vocab: tok.Size(), Sequences: 4}}
	p.model.Answer = func(_ *api.Request, text string) (string, bool) {
		if s.answer == nil {
			return " There was a fox.", true
		}
		return s.answer(text), true
	}
	p.model.Pause = s.pause
	if s.gated {
		p.model.Pause = func(ctx context.Context) error {
			select {
			case <-p.gate:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	p.model.Draw = painter(t, cmp.Or(s.version, "v7"))
	if s.ring == nil {
		s.ring = &keys.Ring{}
	}
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	o := chat.Options{Dialect: dialect, Most: 1 << 21, Ping: time.Minute, Write: time.Minute}
	if s.elsewise != nil {
		s.elsewise(&o)
	}
	if o.Forms, err = grammars.New(tok, tok.Size()); err != nil {
		t.Fatal(err)
	}
	routes, err := web.Routes(openai.Fail)
	if err != nil {
		t.Fatal(err)
	}
	var m api.Model = remembering{p.model, s.cached}
	if s.model != nil {
		m = s.model
	}
	h, err := server.New(server.Options{Routes: append(routes, openai.New(m, o).Routes()...), Fail: openai.Fail, Health: p.model.Health, Keys: s.ring,
		MaxBody: 1 << 24, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Metrics: server.NewMetrics()})
	if err != nil {
		t.Fatal(err)
	}
	p.site = httptest.NewServer(h)
	t.Cleanup(func() {
		p.site.CloseClientConnections()
		p.site.Close()
	})
	p.url = p.site.URL + "/"
	return p
}

// open starts a server and opens its page.
func open(t *testing.T, s setup) *opened {
	t.Helper()
	root := startBrowser(t)
	p := serve(t, s)
	tab, cancel := chromedp.NewContext(root)
	t.Cleanup(cancel)
	var stop func()
	p.ctx, stop = context.WithTimeout(tab, patience)
	t.Cleanup(stop)
	p.watch(stop)
	if s.w == 0 {
		s.w, s.h = 1100, 760
	}
	p.do(chromedp.EmulateViewport(s.w, s.h), chromedp.Navigate(p.url))
	p.until(`document.documentElement.dataset.ready === ''`)
	return p
}

// watch fails the test at an error that no part of the page expected, such as a breach of the policy, and has it wait for
// nothing more.
func (p *opened) watch(stop func()) {
	chromedp.ListenTarget(p.ctx, func(event any) {
		if e, ok := event.(*runtime.EventExceptionThrown); ok {
			p.t.Errorf("the page failed: %v", e.ExceptionDetails)
			stop()
		}
	})
}

func (p *opened) do(actions ...chromedp.Action) {
	p.t.Helper()
	if err := chromedp.Run(p.ctx, actions...); err != nil {
		p.t.Fatal(err)
	}
}

// until waits until an expression of the page is true.
func (p *opened) until(expression string) {
	p.t.Helper()
	for {
		var done bool
		err := chromedp.Run(p.ctx, chromedp.Evaluate(expression, &done))
		if done {
			return
		}
		if err == nil {
			err = chromedp.Run(p.ctx, chromedp.Sleep(5*time.Millisecond)) // between two looks
		}
		if err != nil {
			p.t.Fatalf("waiting for %s: %v", expression, err)
		}
	}
}

// js returns the value of an expression, or of its promise.
func js[T any](p *opened, expression string) (value T) {
	p.t.Helper()
	p.do(chromedp.Evaluate(expression, &value, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	return value
}

// text returns the visible text of an element, "" where there is none.
func (p *opened) text(selector string) string {
	p.t.Helper()
	return js[string](p, fmt.Sprintf(`document.querySelector(%q)?.innerText ?? ''`, selector))
}

// idle waits until no answer is being written.
func (p *opened) idle() { p.t.Helper(); p.until(`document.querySelector('#send').title === 'Send'`) }

// ask sends a message by the keyboard and waits for the answer.
func (p *opened) ask(message string) {
	p.t.Helper()
	p.say(message)
	p.key("Enter", 13)
	p.idle()
}

// say writes into the message box.
func (p *opened) say(message string) {
	p.t.Helper()
	p.until(`(document.querySelector('#input').focus(), document.activeElement.id === 'input')`) // a dialog may close still
	p.do(input.InsertText(message))
}

// key presses a key, as a keyboard does: what handles the key may keep its text from the element that has the focus.
func (p *opened) key(name string, code int64, modifiers ...input.Modifier) {
	p.t.Helper()
	down := input.DispatchKeyEvent(input.KeyDown).WithKey(name).WithCode(name).WithWindowsVirtualKeyCode(code)
	if name == "Enter" {
		down = down.WithText("\r")
	}
	for _, m := range modifiers {
		down = down.WithModifiers(m)
	}
	p.do(down, input.DispatchKeyEvent(input.KeyUp).WithKey(name).WithCode(name).WithWindowsVirtualKeyCode(code))
}

// click clicks an element.
func (p *opened) click(selector string) {
	p.t.Helper()
	p.do(chromedp.Click(selector, chromedp.ByQuery))
}

// bodies returns the texts of the messages.
func (p *opened) bodies() []string {
	p.t.Helper()
	return js[[]string](p, `[...document.querySelectorAll('#messages .body')].map((b) => b.innerText)`)
}

// replaceText puts a text in the place of what is in the field that has the focus.
func replaceText(text string) chromedp.Action {
	return chromedp.Tasks{chromedp.Evaluate(`document.activeElement.select()`, nil), input.InsertText(text)}
}

// colours makes the page believe that the system is light or dark.
func colours(scheme string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}})
}

// reload loads the page anew.
func reload() chromedp.Action {
	return chromedp.Tasks{chromedp.Reload(), chromedp.WaitReady(`html[data-ready]`, chromedp.ByQuery)}
}
