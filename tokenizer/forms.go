package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Two other forms of a World vocabulary, of other programs: see the package's comment.

// isJSON reports whether data begins like a JSON object.
func isJSON(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
}

// isWorldJSON reports whether data is a JSON object whose first key is a number.
func isWorldJSON(data []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{"))
	if !ok {
		return false
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
	digits := len(rest) - len(bytes.TrimLeft(rest, "0123456789"))
	return ok && digits > 0 && digits < len(rest) && rest[digits] == '"'
}

// parseWorldJSON reads an object of tokens by id: {"1": "text", "2": [255, 0]}.
func parseWorldJSON(name string, data []byte) (*World, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	fault := func(err error) error {
		var e *Error
		if !errors.As(err, &e) {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = errors.New("the end of the file")
			}
			e = jsonFault(data, err)
		}
		e.File = name
		if e.Line == 0 {
			e.Line = 1 + bytes.Count(data[:min(int(d.InputOffset()), len(data))], []byte("\n"))
		}
		return e
	}
	if _, err := d.Token(); err != nil { // the brace
		return nil, fault(err)
	}
	var tokens [][]byte
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fault(err)
		}
		field, isKey := key.(string)
		id, ok := decimal([]byte(field), 0, MaxID)
		if !isKey || !ok || field == "" {
			return nil, fault(&Error{Field: "id", Want: fmt.Sprintf("a number from 0 to %d", MaxID), Got: excerpt(fmt.Sprint(key))})
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, fault(err)
		}
		text, err := jsonToken(raw)
		if err != nil {
			return nil, fault(err)
		}
		for len(tokens) <= id {
			tokens = append(tokens, nil)
		}
		if tokens[id] != nil {
			return nil, fault(&Error{Field: "id", Want: "each id once", Got: strconv.Itoa(id) + " twice"})
		}
		tokens[id] = text
	}
	if _, err := d.Token(); err != nil {
		return nil, fault(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fault(&Error{Field: "JSON", Want: "one object", Got: "more behind it"})
	}
	return NewWorld(name, tokens)
}

// jsonToken returns the bytes of a token, a string or a list of bytes; not nil.
func jsonToken(raw []byte) ([]byte, error) {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		// Half of a surrogate pair, and bytes that are no UTF-8, become U+FFFD without an error.
		if strings.ContainsRune(text, utf8.RuneError) && !bytes.Contains(raw, []byte(string(utf8.RuneError))) && !bytes.Contains(bytes.ToLower(raw), []byte(`\ufffd`)) {
			return nil, &Error{Field: "token", Want: "Unicode characters", Got: excerpt(raw)}
		}
		return append([]byte{}, text...), nil
	}
	var list []int
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, &Error{Field: "token", Want: "a string or a list of bytes", Got: excerpt(raw)}
	}
	out := make([]byte, 0, len(list))
	for _, b := range list {
		if b < 0 || b > 255 {
			return nil, &Error{Field: "token", Want: "bytes from 0 to 255", Got: strconv.Itoa(b)}
		}
		out = append(out, byte(b))
	}
	return out, nil
}

// parseLiterals reads a Python literal a line, the first of which has id 0.
func parseLiterals(name string, data []byte) (*World, error) {
	var tokens [][]byte
	for line, row := range rows(data) {
		fault := func(want, got string) error {
			return &Error{File: name, Line: line, Field: "token", Want: want, Got: got}
		}
		switch {
		case len(row) > maxLine:
			return nil, fault(fmt.Sprintf("at most %d bytes", maxLine), strconv.Itoa(len(row)))
		case !utf8.Valid(row):
			return nil, fault("valid UTF-8", excerpt(row))
		case len(tokens) > MaxID:
			return nil, fault(fmt.Sprintf("at most %d tokens", MaxID+1), "more")
		}
		text, rest, bad := appendLiteral([]byte{}, row)
		if bad != nil {
			return nil, fault(bad.want, bad.got)
		}
		if len(rest) > 0 {
			return nil, fault("nothing after the literal, as on the first line", excerpt(rest))
		}
		tokens = append(tokens, text)
	}
	return NewWorld(name, tokens)
}
