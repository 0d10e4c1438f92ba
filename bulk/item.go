package bulk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// MostID is how many bytes a custom_id may have.
const MostID = 512

// Request is what a Worker answers.
type Request struct {
	ID   string // custom_id, of no other item of the file
	URL  string // the path, such as /v1/embeddings
	Body []byte // a JSON object
	User string // whose request it is
}

// item is a line of the input.
type item struct {
	Request
	index int64 // among the items, from 0
	line  int64 // of the file, from 1
	bytes int64 // of the line
	fault *wire.Error
	cost  cost
}

// cost is about what an item takes.
type cost struct {
	answers int64
	tokens  int64 // of the prompt and all answers
}

// envelope is the JSON of a line.
type envelope struct {
	ID     *string        `json:"custom_id"`
	Method *string        `json:"method"`
	URL    *string        `json:"url"`
	Body   jsontext.Value `json:"body"`
}

// rules say what lines may ask for.
type rules struct {
	urls []string // that an item may have
	user string
}

// read makes an item of a line. If the line is none, the item has a fault, and as much else as could be read.
func (r *rules) read(line []byte) (it item) {
	it.User = r.user
	var e envelope
	if err := wire.Decode(line, &e); err != nil {
		err.Message = strings.Replace(err.Message, "the body", "the line", 1) // which is one to package wire
		it.fault = err
		return it
	}
	if e.ID != nil {
		it.ID = *e.ID
	}
	it.fault = r.check(&e)
	if it.fault != nil {
		return it
	}
	it.URL, it.Body = *e.URL, e.Body
	it.Body, it.cost, it.fault = prepare(it.URL, it.Body, it.ID)
	return it
}

// check returns what is wrong with the fields around the body.
func (r *rules) check(e *envelope) *wire.Error {
	wantID := fmt.Sprintf("a string of 1 to %d bytes", MostID)
	switch {
	case e.ID == nil:
		return wire.Missing("custom_id", wantID)
	case *e.ID == "" || len(*e.ID) > MostID:
		return wire.Wrong("custom_id", wantID, fmt.Sprintf("%d bytes", len(*e.ID)))
	case e.Method == nil:
		return wire.Missing("method", http.MethodPost)
	case *e.Method != http.MethodPost:
		return wire.Wrong("method", http.MethodPost, strconv.Quote(wire.Clip(*e.Method)))
	case e.URL == nil:
		return wire.Missing("url", strings.Join(r.urls, " or "))
	case !slices.Contains(r.urls, *e.URL):
		return wire.Wrong("url", strings.Join(r.urls, " or "), strconv.Quote(wire.Clip(*e.URL)))
	case len(e.Body) == 0:
		return wire.Missing("body", "an object")
	case e.Body.Kind() != '{':
		return wire.Wrong("body", "an object", wire.Kind(e.Body.Kind()))
	}
	return nil
}

// asked is what of a body says how much work it is. A value of a wrong type counts as if it were not there: the worker
// tells what is wrong with it.
type asked struct {
	n, bestOf, most int64
	prompts         int64
}

// Guesses of cost.
const (
	bytesOfToken = 4   // of English text
	usualAnswer  = 512 // tokens, where a body does not say
)

// prepare returns the body as it is sent and what it costs. A body that is answered by chance and has no seed gets one
// that follows from the custom_id, so that an item draws the same whenever it is done.
func prepare(url string, body []byte, id string) ([]byte, cost, *wire.Error) {
	a := asked{n: 1, bestOf: 1, most: usualAnswer, prompts: 1}
	seeded, from, to := strings.HasSuffix(url, "/embeddings"), 1, 1 // where the seed comes
	if seeded {
		a.most = 0
	}
	d := jsontext.NewDecoder(bytes.NewReader(body))
	_, _ = d.ReadToken() // the body is known to be an object
	empty := d.PeekKind() == '}'
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, cost{}, wire.Wrong("body", "an object", "another value")
		}
		field := name.String()
		value, err := d.ReadValue()
		if err != nil {
			return nil, cost{}, wire.Wrong("body."+wire.Clip(field), "a value", "none")
		}
		switch field {
		case "stream":
			if value.Kind() == 't' {
				return nil, cost{}, wire.Wrong("body.stream", "false, since the result of an item is whole", "true")
			}
		case "seed":
			if value.Kind() != 'n' {
				seeded = true
				break
			}
			to = int(d.InputOffset())
			from = to - len(value)
		default:
			a.take(field, value)
		}
	}
	if !seeded {
		text := strconv.FormatInt(seed(id), 10)
		if from == 1 {
			if text = `"seed":` + text; !empty {
				text += ","
			}
		}
		body = slices.Concat(body[:from], []byte(text), body[to:])
	}
	answers := max(max(a.n, a.bestOf)*a.prompts, 1)
	return body, cost{answers, int64(len(body))/bytesOfToken + answers*a.most}, nil
}

// take takes a field of a body into account.
func (a *asked) take(field string, value jsontext.Value) {
	number := func(to *int64) {
		var n int64
		if json.Unmarshal(value, &n) == nil && n >= 0 && n <= 1<<20 {
			*to = n
		}
	}
	switch field {
	case "n":
		number(&a.n)
	case "best_of":
		number(&a.bestOf)
	case "max_tokens", "max_completion_tokens", "max_output_tokens":
		number(&a.most)
	case "prompt", "input": // a list of messages is no list of texts
		a.prompts = max(texts(value), 1)
	}
}

// texts returns how many texts a list has of texts or of lists of ids, 0 for another value.
func texts(value jsontext.Value) int64 {
	if value.Kind() != '[' {
		return 0
	}
	d := jsontext.NewDecoder(bytes.NewReader(value))
	if _, err := d.ReadToken(); err != nil {
		return 0
	}
	n := int64(0)
	for d.PeekKind() == '"' || d.PeekKind() == '[' {
		if d.SkipValue() != nil {
			return 0
		}
		n++
	}
	return n
}

// seed returns the seed of an item without one: 53 bits, which every reader of JSON keeps.
func seed(id string) int64 {
	sum := sha256.Sum256([]byte("rwkv-gpu batch\x00" + id))
	return int64(binary.LittleEndian.Uint64(sum[:]) >> 11)
}

// digest is what an id is told from others by.
type digest [16]byte

func digestOf(id string) (d digest) {
	sum := sha256.Sum256([]byte(id))
	copy(d[:], sum[:])
	return d
}
