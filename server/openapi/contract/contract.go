// Package contract compares what a server answers with its description (package openapi), for tests. Answers may have no
// member that the description does not name, and a Contract knows what of the description no answer has had so far.
package contract

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Contract is a description that answers are compared with. Its methods may be called by any goroutine.
type Contract struct {
	doc    map[string]any
	strict map[string]any // the same, but objects of answers have no members besides those that are named
	routes []route

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
	seen     map[string]bool // places of the strict description that answers have had
}

// route is an operation of the description.
type route struct {
	method, path string
	operation    map[string]any
	at           string // JSON pointer
}

const (
	plainURL  = "https://server.invalid/openapi.json"
	strictURL = "https://server.invalid/strict.json"
)

// New reads a description.
func New(document []byte) (*Contract, error) {
	c := &Contract{compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}, seen: map[string]bool{}}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertContent() // the data of events is JSON of a schema
	for url, doc := range map[string]*map[string]any{plainURL: &c.doc, strictURL: &c.strict} {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
		if err != nil {
			return nil, fmt.Errorf("contract: %w", err)
		}
		object, ok := v.(map[string]any)
		if !ok {
			return nil, errors.New("contract: want an object")
		}
		*doc = object
		if url == strictURL {
			closeObjects(object)
		}
		if err := c.compiler.AddResource(url, v); err != nil {
			return nil, fmt.Errorf("contract: %w", err)
		}
	}
	paths, _ := c.strict["paths"].(map[string]any)
	for path, item := range paths {
		methods, _ := item.(map[string]any)
		for method, operation := range methods {
			if o, ok := operation.(map[string]any); ok {
				c.routes = append(c.routes, route{strings.ToUpper(method), path, o, pointer("paths", path, method)})
			}
		}
	}
	slices.SortFunc(c.routes, func(a, b route) int { return strings.Compare(a.String(), b.String()) })
	return c, nil
}

// String returns the operation as a pattern of http.ServeMux.
func (r route) String() string {
	if r.path == "/" {
		return r.method + " /{$}"
	}
	return r.method + " " + r.path
}

// Operations lists what is described, as patterns of http.ServeMux.
func (c *Contract) Operations() (list []string) {
	for _, r := range c.routes {
		list = append(list, r.String())
	}
	return list
}

// find returns the operation that a request is for, nil if there is none. Paths without parameters come first.
func (c *Contract) find(method, path string) *route {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var found *route
	for i := range c.routes {
		r := &c.routes[i]
		if r.method == method && matches(r.path, path) && (found == nil || !strings.Contains(r.path, "{")) {
			found = r
		}
	}
	return found
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i, w := range want {
		if w != got[i] && (!strings.HasPrefix(w, "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// Check compares an answer with the description.
func (c *Contract) Check(r *http.Request, status int, head http.Header, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	op := c.find(r.Method, r.URL.EscapedPath())
	var err error
	if op == nil {
		err = c.checkElse(r, status, body)
	} else {
		err = c.checkAnswer(op, r.Method, status, head, body)
	}
	if err != nil {
		return fmt.Errorf("%s %s: status %d: %w\n%.2000s", r.Method, r.URL.Path, status, err, body)
	}
	return nil
}

// checkElse checks an answer where nothing is described.
func (c *Contract) checkElse(r *http.Request, status int, body []byte) error {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusForbidden:
		if r.Method == http.MethodHead {
			return nil
		}
		return c.checkJSON(strictURL, pointer("components", "schemas", "Error"), body)
	case http.StatusNoContent:
		if r.Method == http.MethodOptions {
			return nil
		}
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect: // ServeMux cleans paths
		return nil
	}
	return errors.New("the operation is not described")
}

func (c *Contract) checkAnswer(op *route, method string, status int, head http.Header, body []byte) error {
	at := op.at + pointer("responses", strconv.Itoa(status))
	response, at := c.resolve(at)
	if response == nil {
		return errors.New("the status is not described")
	}
	c.seen[op.at+pointer("responses", strconv.Itoa(status))] = true
	if err := c.checkHead(response, at, head); err != nil {
		return err
	}
	contents, _ := response["content"].(map[string]any)
	if contents == nil || method == http.MethodHead {
		return nil
	}
	kind, _, err := mime.ParseMediaType(head.Get("Content-Type"))
	if err != nil {
		return fmt.Errorf("Content-Type: %w", err)
	}
	if contents[kind] == nil {
		return fmt.Errorf("Content-Type: %s is not described", kind)
	}
	at += pointer("content", kind)
	c.seen[at] = true
	switch at += pointer("schema"); kind {
	case "application/json":
		return c.checkJSON(strictURL, at, body)
	case "text/event-stream":
		return c.checkEvents(at, body)
	}
	return nil
}

// checkHead checks the fields of an answer's head that are described.
func (c *Contract) checkHead(response map[string]any, at string, head http.Header) error {
	fields, _ := response["headers"].(map[string]any)
	for name := range fields {
		field, place := c.resolve(at + pointer("headers", name))
		text := head.Get(name)
		if text == "" {
			if field["required"] == true {
				return fmt.Errorf("want the header %s, got none", name)
			}
			continue
		}
		schema, err := c.schema(strictURL, place+pointer("schema"))
		if err != nil {
			return err
		}
		var value any = text
		if n, err := strconv.Atoi(text); err == nil {
			value = n
		}
		if err := schema.Validate(value); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	return nil
}

func (c *Contract) checkJSON(url, at string, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	schema, err := c.schema(url, at)
	if err == nil {
		err = schema.Validate(v)
	}
	if err == nil && url == strictURL {
		err = c.visit(at, v)
	}
	return err
}

// checkEvents checks each event of a stream (the HTML standard, section 9.2) as an object with the names of its fields.
func (c *Contract) checkEvents(at string, body []byte) error {
	done := false
	schema, err := c.schema(strictURL, at)
	if err != nil {
		return err
	}
	for _, event := range strings.Split(strings.TrimSuffix(string(body), "\n\n"), "\n\n") {
		fields := map[string]any{}
		for line := range strings.SplitSeq(event, "\n") {
			if name, value, _ := strings.Cut(line, ": "); name != "" { // else it is a comment
				fields[name] = value
			}
		}
		data, _ := fields["data"].(string)
		if data == "" {
			continue // no event comes of it
		}
		if done {
			return errors.New("want no events behind [DONE]")
		}
		done = data == "[DONE]"
		if err := schema.Validate(fields); err != nil {
			return fmt.Errorf("the event %.300q: %w", event, err)
		}
		if err := c.visit(at, fields); err != nil {
			return err
		}
		if name, ok := fields["event"].(string); ok && !strings.Contains(data, `"type":"`+name+`"`) {
			return fmt.Errorf("want an event of its type, got %s for %.200s", name, data)
		}
	}
	return nil
}

// schema returns the compiled schema at a place.
func (c *Contract) schema(url, at string) (*jsonschema.Schema, error) {
	if s := c.schemas[url+"#"+at]; s != nil {
		return s, nil
	}
	s, err := c.compiler.Compile(url + "#" + escape(at))
	if err != nil {
		return nil, fmt.Errorf("the schema at %s: %w", at, err)
	}
	c.schemas[url+"#"+at] = s
	return s, nil
}

// resolve returns the object at a place of the strict description, and the place where it stands after references.
func (c *Contract) resolve(at string) (map[string]any, string) {
	for {
		o, _ := lookup(c.strict, at).(map[string]any)
		ref, _ := o["$ref"].(string)
		if ref == "" {
			return o, at
		}
		at = strings.TrimPrefix(ref, "#")
	}
}
