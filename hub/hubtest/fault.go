package hubtest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
)

// Fault is something wrong with an answer.
type Fault struct {
	Kind string // one of Kinds
	At   int    // after how many bytes of the body, for kinds that have such a place
}

// Kinds are all kinds of faults.
var Kinds = []string{"drop", "reset", "stall", "silence", "longer", "shorter", "total", "range", "offset", "flip", "whole",
	"no ranges", "loop", "away", "403", "429", "500", "503", "416", "tag", "garbage"}

// Random returns a fault of any kind.
func Random(r *rand.Rand, size int) *Fault {
	return &Fault{Kinds[r.IntN(len(Kinds))], r.IntN(size + 1)}
}

// send answers a request for data, or for a range of it, with the fault.
func (f *Fault) send(w http.ResponseWriter, r *http.Request, data []byte) {
	h := w.Header()
	first, last := 0, len(data)-1
	n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
	part := n == 2
	if last >= len(data) {
		last = len(data) - 1
	}
	body := []byte{}
	if first <= last {
		body = data[first : last+1]
	}
	at := min(f.At, len(body))
	status, length := http.StatusOK, len(body)
	total := len(data)
	switch f.Kind {
	case "403", "429", "500", "503", "416":
		h.Set("Retry-After", "0")
		code, _ := strconv.Atoi(f.Kind) // it is a number
		http.Error(w, "fault", code)
		return
	case "reset":
		panic(http.ErrAbortHandler)
	case "silence":
		<-r.Context().Done()
		return
	case "loop":
		http.Redirect(w, r, r.URL.String(), http.StatusFound)
		return
	case "away":
		http.Redirect(w, r, "http://127.0.0.1:1/nobody", http.StatusTemporaryRedirect)
		return
	case "no ranges", "whole":
		part, body, length = false, data, len(data)
	case "longer":
		length += 1 + f.At
	case "shorter":
		length, body = at, body[:at]
	case "total":
		total += 1 + f.At
	case "range":
		first, last = first+1, last+1
	case "offset":
		from := (first + f.At) % (len(data) - len(body) + 1)
		body = data[from : from+len(body)]
	case "flip":
		body = bytes.Clone(body)
		if len(body) > 0 {
			body[f.At%len(body)] ^= 1 << (f.At % 8)
		}
	case "tag":
		h.Set("ETag", `"another"`)
		h.Set("X-Linked-Etag", `"another"`)
	case "garbage":
		h.Set("Content-Range", "bytes ?/-1")
	}
	if part {
		status = http.StatusPartialContent
		if h.Get("Content-Range") == "" {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, total))
		}
	}
	h.Set("Content-Length", strconv.Itoa(length))
	w.WriteHeader(status)
	f.body(w, r, body, at)
}

// body sends the body, or a piece of it.
func (f *Fault) body(w http.ResponseWriter, r *http.Request, body []byte, at int) {
	complete := at == len(body)
	if f.Kind == "drop" || f.Kind == "stall" {
		body = body[:at]
	}
	_, _ = w.Write(body) // the client may be gone
	switch f.Kind {
	case "stall":
		_ = http.NewResponseController(w).Flush() // the client may be gone
		if !complete {
			<-r.Context().Done()
		}
	case "drop", "longer":
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}
