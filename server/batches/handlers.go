package batches

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Routes returns the routes of files and batches.
func (s *Service) Routes() []api.Route {
	list := []api.Route{
		{Pattern: "POST /v1/files", Handle: s.upload},
		{Pattern: "GET /v1/files", Handle: s.listFiles, Light: true},
		{Pattern: "GET /v1/files/{id}", Handle: s.oneFile, Light: true},
		{Pattern: "DELETE /v1/files/{id}", Handle: s.deleteFile, Light: true},
		{Pattern: "GET /v1/files/{id}/content", Handle: s.content, Light: true},
		{Pattern: "POST /v1/batches", Handle: s.create},
		{Pattern: "GET /v1/batches", Handle: s.list, Light: true},
		{Pattern: "GET /v1/batches/{id}", Handle: s.one, Light: true},
		{Pattern: "POST /v1/batches/{id}/cancel", Handle: s.cancel, Light: true},
	}
	for i := range list {
		handle := list[i].Handle
		list[i].Fail = s.o.Fail
		list[i].Handle = func(w http.ResponseWriter, c *api.Call) *wire.Error {
			if s.files == nil {
				return &wire.Error{Status: http.StatusNotFound, Code: "no_files", Message: "this server keeps no files and no batches: it wants --files DIR"}
			}
			return handle(w, c)
		}
	}
	return list
}

// BatchRequest is the body of POST /v1/batches.
type BatchRequest struct {
	Input    string            `json:"input_file_id"`
	Endpoint string            `json:"endpoint"`
	Window   string            `json:"completion_window"`
	Metadata map[string]string `json:"metadata"`
}

// Bounds of a batch's metadata, in entries and characters.
const (
	mostEntries = 16
	mostName    = 64
	mostValue   = 512
)

// check finds what is wrong with a request, but for the file.
func (q *BatchRequest) check(urls []string) (time.Duration, *wire.Error) {
	if q.Endpoint == "" {
		return 0, wire.Missing("endpoint", strings.Join(urls, " or "))
	}
	if !slices.Contains(urls, q.Endpoint) {
		return 0, wire.Wrong("endpoint", strings.Join(urls, " or "), "another string")
	}
	if q.Input == "" {
		return 0, wire.Missing("input_file_id", "the id of a file")
	}
	window, err := q.window()
	if err != nil {
		return 0, err
	}
	if n := len(q.Metadata); n > mostEntries {
		return 0, wire.Wrong("metadata", fmt.Sprintf("at most %d entries", mostEntries), strconv.Itoa(n))
	}
	for name, value := range q.Metadata {
		if len([]rune(name)) > mostName || len([]rune(value)) > mostValue {
			return 0, wire.Wrong("metadata", fmt.Sprintf("names of at most %d characters, and values of at most %d", mostName, mostValue), "longer ones")
		}
	}
	return window, nil
}

// windows are the completion windows: OpenAI's 24h, and others in seconds, minutes, hours or days.
var windows = regexp.MustCompile(`^([1-9][0-9]{0,5})([smhd])$`)

func (q *BatchRequest) window() (time.Duration, *wire.Error) {
	const want = "a time such as 24h, in s, m, h or d"
	if q.Window == "" {
		return 0, wire.Missing("completion_window", want)
	}
	m := windows.FindStringSubmatch(q.Window)
	if m == nil {
		return 0, wire.Wrong("completion_window", want, "another string")
	}
	n, _ := strconv.Atoi(m[1]) // digits
	unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
	const most = 10 * 365 * 24 * time.Hour
	return min(time.Duration(n)*unit, most), nil
}

func (s *Service) create(w http.ResponseWriter, c *api.Call) *wire.Error {
	var q BatchRequest
	if err := c.Decode(w, &q); err != nil {
		return err
	}
	window, err := q.check(s.o.URLs)
	if err != nil {
		return err
	}
	i, none := s.files.Info(c.User, q.Input)
	if none != nil {
		return s.fileFault("input_file_id", none)
	}
	if i.Purpose != purposeBatch {
		return wire.Wrong("input_file_id", "a file of the purpose "+purposeBatch, "one of "+i.Purpose)
	}
	b, err := s.make(c.User, &q, window)
	if err != nil {
		return err
	}
	reply(w, b.tell())
	return nil
}

func (s *Service) one(w http.ResponseWriter, c *api.Call) *wire.Error {
	b, err := s.find(c.User, c.PathValue("id"))
	if err != nil {
		return err
	}
	reply(w, b.tell())
	return nil
}

func (s *Service) cancel(w http.ResponseWriter, c *api.Call) *wire.Error {
	b, err := s.find(c.User, c.PathValue("id"))
	if err != nil {
		return err
	}
	if err := s.cancelBatch(b); err != nil {
		return err
	}
	reply(w, b.tell())
	return nil
}

// cancelBatch has a batch end soon, with the answers that there are.
func (s *Service) cancelBatch(b *batch) *wire.Error {
	conflict := ""
	err := b.change(func(r *record) {
		switch r.Status {
		case validating, inProgress:
			r.Status, r.Cancelling = cancelling, now()
		case cancelling:
		default:
			conflict = r.Status
		}
	})
	switch {
	case conflict != "":
		return &wire.Error{Status: http.StatusConflict, Code: "batch_over", Message: "a batch that is " + conflict + " cannot be cancelled"}
	case err != nil:
		return s.diskFault(err)
	}
	b.mu.Lock()
	stop := b.cancel
	b.mu.Unlock()
	if stop != nil { // else the record says it to who begins
		stop(errCancelled)
	}
	return nil
}

// Page is some of a list.
type Page[T any] struct {
	Object string  `json:"object"` // list
	Data   []T     `json:"data"`
	First  *string `json:"first_id"`
	Last   *string `json:"last_id"`
	More   bool    `json:"has_more"`
}

// page returns the part of a list that a query asks for: behind an id, and at most so many.
func page[T any](all []T, id func(T) string, q url.Values, otherwise, most int) (p Page[T], err *wire.Error) {
	limit := otherwise
	if text := q.Get("limit"); text != "" {
		n, wrong := strconv.Atoi(text)
		if wrong != nil || n < 1 || n > most {
			return p, wire.Wrong("limit", fmt.Sprintf("an integer from 1 to %d", most), "another value")
		}
		limit = n
	}
	if after := q.Get("after"); after != "" {
		at := slices.IndexFunc(all, func(x T) bool { return id(x) == after })
		if at < 0 {
			return p, wire.Wrong("after", "the id of an element of the list", "another string")
		}
		all = all[at+1:]
	}
	p = Page[T]{Object: "list", Data: []T{}}
	p.Data, p.More = append(p.Data, all[:min(limit, len(all))]...), len(all) > limit
	if n := len(p.Data); n > 0 {
		first, last := id(p.Data[0]), id(p.Data[n-1])
		p.First, p.Last = &first, &last
	}
	return p, nil
}

func (s *Service) list(w http.ResponseWriter, c *api.Call) *wire.Error {
	s.mu.Lock()
	mine := s.sorted(func(r *record) bool { return r.User == c.User })
	s.mu.Unlock()
	slices.Reverse(mine) // the newest first
	p, err := page(mine, func(b *batch) string { return b.now().ID }, c.URL.Query(), 20, 100)
	if err != nil {
		return err
	}
	told := Page[Batch]{p.Object, make([]Batch, len(p.Data)), p.First, p.Last, p.More}
	for i, b := range p.Data {
		told.Data[i] = b.tell()
	}
	reply(w, told)
	return nil
}

// reply answers with what is known to have a form in JSON.
func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // if the client has left, nobody is there to be told
}
