// Package web is the page of a server: a chat in the browser over the server's own protocol. Its files are in the binary. They
// are loaded as they are, and they load nothing from elsewhere.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

//go:embed page
var page embed.FS

// types are the files' media types.
var types = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json"}

// policy lets the page load its own files and ask its own server, and nothing else. No text can become a program: with
// require-trusted-types-for the browser refuses to read any string as HTML or as a script (CSP 3; Trusted Types).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
	"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// file is a file as it is sent.
type file struct {
	name, tag string
	data      []byte
}

// Routes returns the routes of the page. fail answers where there is no such file.
func Routes(fail func(w http.ResponseWriter, e *wire.Error)) ([]api.Route, error) {
	files := map[string]*file{}
	add := func(name string, data []byte) {
		sum := sha256.Sum256(data)
		files[name] = &file{name, `"` + hex.EncodeToString(sum[:12]) + `"`, data}
	}
	list, err := page.ReadDir("page")
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	for _, entry := range list {
		data, err := page.ReadFile("page/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("web: %w", err)
		}
		add(entry.Name(), data)
	}
	data, err := json.Marshal(allChoices())
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	add("choices.json", data)
	index := files["index.html"]
	delete(files, "index.html") // it is at one address
	return []api.Route{
		{Pattern: "GET /{$}", Fail: fail, Open: true, Light: true, Handle: func(w http.ResponseWriter, c *api.Call) *wire.Error {
			index.send(w, c.Request)
			return nil
		}},
		{Pattern: "GET /web/{file}", Fail: fail, Open: true, Light: true, Handle: func(w http.ResponseWriter, c *api.Call) *wire.Error {
			f := files[c.PathValue("file")]
			if f == nil {
				return &wire.Error{Status: http.StatusNotFound, Message: "there is nothing at this path", Code: "unknown_path"}
			}
			f.send(w, c.Request)
			return nil
		}},
	}, nil
}

// send answers with the file, or with nothing where the browser has it already.
func (f *file) send(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", types[path.Ext(f.name)])
	h.Set("ETag", f.tag)
	h.Set("Cache-Control", "no-cache") // kept, but asked about each time
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(f.data))
}

// choices are what the page's settings offer. The numbers have the names of a request's fields.
type choices struct {
	Presets   []preset `json:"presets"`
	Templates []choice `json:"templates"`
	Thinks    []choice `json:"thinks"`
}

type choice struct {
	Name  string `json:"name"`
	About string `json:"about"`
}

type preset struct {
	choice
	Temperature  float32 `json:"temperature"`
	TopP         float32 `json:"top_p"`
	TopK         int     `json:"top_k"`
	Presence     float32 `json:"presence_penalty"`
	Frequency    float32 `json:"frequency_penalty"`
	PenaltyDecay float32 `json:"penalty_decay"`
}

func allChoices() choices {
	var c choices
	for _, p := range prompt.Presets() {
		c.Presets = append(c.Presets, preset{choice{p.Name, p.About}, p.Temperature, p.TopP, p.TopK, p.Presence, p.Frequency, p.PenaltyDecay})
	}
	for _, d := range prompt.Dialects() {
		c.Templates = append(c.Templates, choice{d.Name, d.About})
	}
	about := map[prompt.Think]string{prompt.ThinkOff: "no word of it", prompt.ThinkFast: "an empty thought", prompt.ThinkFree: "as long as it likes",
		prompt.ThinkShort: "a short thought", prompt.ThinkLong: "a long thought"}
	for _, t := range prompt.Thinks() {
		c.Thinks = append(c.Thinks, choice{string(t), about[t]})
	}
	return c
}
