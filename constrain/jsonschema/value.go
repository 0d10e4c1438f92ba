package jsonschema

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// kinds of values, by the byte that they begin with.
const (
	isNull   = 'n'
	isTrue   = 't'
	isFalse  = 'f'
	isNumber = '0'
	isString = '"'
	isArray  = '['
	isObject = '{'
)

// value is a JSON value whose members have their order.
type value struct {
	kind   byte
	text   string // of a string, or of a number as it is written
	items  []*value
	keys   []string
	fields map[string]*value
	at     string // JSON pointer
}

// maxDepth bounds how deep a schema's values lie in each other.
const maxDepth = 500

// parse reads a JSON text.
func parse(text []byte) (*value, error) {
	if !utf8.Valid(text) {
		return nil, &Error{Want: "UTF-8", Got: "other bytes"}
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	v, err := read(d, "", maxDepth)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = &Error{Want: "one JSON value", Got: "more behind it"}
		}
	}
	return v, err
}

func read(d *json.Decoder, at string, depth int) (*value, error) {
	if depth == 0 {
		return nil, &Error{Pointer: at, Want: fmt.Sprintf("at most %d values in each other", maxDepth), Got: "more: schema too large"}
	}
	t, err := d.Token()
	if err != nil {
		return nil, &Error{Pointer: at, Want: "a JSON value", Got: err.Error()}
	}
	v := &value{at: at}
	switch t := t.(type) {
	case nil:
		v.kind = isNull
	case bool:
		v.kind = isFalse
		if t {
			v.kind = isTrue
		}
	case json.Number:
		v.kind, v.text = isNumber, t.String()
	case string:
		v.kind, v.text = isString, t
	case json.Delim:
		v.kind = byte(t)
		err = v.readInside(d, depth)
	}
	return v, err
}

func (v *value) readInside(d *json.Decoder, depth int) error {
	v.fields = map[string]*value{}
	for d.More() {
		at := v.at + "/" + strconv.Itoa(len(v.items))
		key := ""
		if v.kind == isObject {
			t, err := d.Token()
			if err != nil {
				return &Error{Pointer: v.at, Want: "a JSON value", Got: err.Error()}
			}
			key = t.(string)
			at = v.at + "/" + escapePointer(key)
			if _, ok := v.fields[key]; ok {
				return &Error{Pointer: at, Want: "each name once", Got: "it again"}
			}
		}
		child, err := read(d, at, depth-1)
		if err != nil {
			return err
		}
		if v.kind == isObject {
			v.keys = append(v.keys, key)
			v.fields[key] = child
		} else {
			v.items = append(v.items, child)
		}
	}
	if _, err := d.Token(); err != nil {
		return &Error{Pointer: v.at, Want: "a JSON value", Got: err.Error()}
	}
	return nil
}

func escapePointer(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "~", "~0"), "/", "~1")
}

// canonical returns the same text for equal values: members sorted, numbers in one form.
func (v *value) canonical() (string, error) {
	switch v.kind {
	case isNull:
		return "null", nil
	case isTrue:
		return "true", nil
	case isFalse:
		return "false", nil
	case isString:
		return strconv.Quote(v.text), nil
	case isNumber:
		d, err := v.decimal()
		return d.String(), err
	}
	var parts []string
	for i, item := range v.items {
		c, err := item.canonical()
		if err != nil {
			return "", err
		}
		parts = append(parts, fmt.Sprintf("%d:%s", i, c))
	}
	for _, k := range slices.SortedFunc(slices.Values(v.keys), cmp.Compare) {
		c, err := v.fields[k].canonical()
		if err != nil {
			return "", err
		}
		parts = append(parts, strconv.Quote(k)+":"+c)
	}
	return string(v.kind) + strings.Join(parts, ",") + "}", nil
}

// describe names a value in a message.
func (v *value) describe() string {
	switch v.kind {
	case isNull:
		return "null"
	case isTrue:
		return "true"
	case isFalse:
		return "false"
	case isNumber:
		return v.text
	case isString:
		if len(v.text) > 60 {
			return fmt.Sprintf("%.60q…", v.text)
		}
		return strconv.Quote(v.text)
	case isArray:
		return "an array"
	}
	return "an object"
}
