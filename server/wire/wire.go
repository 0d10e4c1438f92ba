package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Error is what is wrong with a request.
type Error struct {
	Status  int    // of HTTP
	Param   string // the path of the field, such as messages[3].content; "" for the request as a whole
	Message string // one line, which names the field
	Code    string // for programs, such as invalid_type; may be ""
	Told    bool   // reports whether the client has been told, in the middle of an answer
	Cause   error  // for the log and not for the client; may be nil
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Wrong returns the error of a value that cannot be used in the field at a path: what was wanted there and what was there.
func Wrong(param, want, got string) *Error {
	return &Error{Status: http.StatusBadRequest, Param: param, Message: fmt.Sprintf("%s: want %s, got %s", param, want, got), Code: "invalid_value"}
}

// Missing returns the error of a field that has to be there.
func Missing(param, want string) *Error {
	return &Error{Status: http.StatusBadRequest, Param: param, Message: fmt.Sprintf("%s: missing, want %s", param, want), Code: "missing_required_parameter"}
}

// Count returns a field that counts something, or what holds without it.
func Count(param string, sent *int, otherwise, min, max int) (int, *Error) {
	if sent == nil {
		return otherwise, nil
	}
	if *sent < min || *sent > max {
		return 0, Wrong(param, fmt.Sprintf("an integer from %d to %d", min, max), strconv.Itoa(*sent))
	}
	return *sent, nil
}

// Clip shortens a name that a client sent, for an error.
func Clip(s string) string {
	if len(s) > 32 {
		return s[:32] + "…"
	}
	return s
}

// Wanter is a type that says in words which JSON it takes.
type Wanter interface{ Want() string }

// Read reads the body of a request, of most bytes at the most.
func Read(w http.ResponseWriter, r *http.Request, most int64) ([]byte, *Error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body is larger than the %d bytes that this server takes", most), Code: "request_too_large"}
	case err != nil:
		return nil, &Error{Status: http.StatusBadRequest, Message: "the body ended before its time: " + err.Error()}
	}
	return body, nil
}

// Decode reads body, one JSON object, into the struct that v points to.
func Decode(body []byte, v any) *Error {
	if kind := jsontext.Value(body).Kind(); kind != '{' && kindWords[kind] != "" {
		return &Error{Status: http.StatusBadRequest, Message: "the body: want an object, got " + kindWords[kind], Code: "invalid_type"}
	}
	return explain(json.Unmarshal(body, v, integers))
}

// integers reads integers as JSON Schema has them: 1.0 is one. null, which stands for a field that is not there, is none: in a
// list it would become 0.
var integers = json.WithUnmarshalers(json.JoinUnmarshalers(
	json.UnmarshalFromFunc(readInteger[int]), json.UnmarshalFromFunc(readInteger[int64])))

func readInteger[T int | int64](d *jsontext.Decoder, to *T) error {
	const want = "an integer"
	switch d.PeekKind() {
	case 'n':
		e := Wrong("", want, kindWords['n'])
		e.Code = "invalid_type"
		return e
	case '0':
	default:
		return json.SkipFunc
	}
	number, err := d.ReadValue()
	if err != nil {
		return err
	}
	text := string(number)
	if whole, fraction, found := strings.Cut(text, "."); found && strings.Trim(fraction, "0") == "" {
		text = whole
	}
	n, err := strconv.ParseInt(text, 10, strconv.IntSize)
	if err != nil {
		e := Wrong("", want, numeral(number))
		e.Code = "invalid_type"
		return e
	}
	*to = T(n)
	return nil
}

func explain(err error) *Error {
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	var own *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		if errors.As(err, &semantic) { // which knows where the value is that own is about
			at := Path(semantic.JSONPointer) + own.Param
			return &Error{Status: own.Status, Param: at, Message: at + strings.TrimPrefix(own.Message, own.Param), Code: own.Code}
		}
		return own
	case errors.As(err, &syntactic):
		why := syntactic.Err
		if errors.Is(why, io.ErrUnexpectedEOF) {
			why = errors.New("it ends too early")
		}
		at := Path(syntactic.JSONPointer)
		where := fmt.Sprintf("at byte %d", syntactic.ByteOffset)
		if at != "" {
			where += ", in " + at
		}
		return &Error{Status: http.StatusBadRequest, Param: at, Message: fmt.Sprintf("the body is no JSON: %s: %v", where, why), Code: "invalid_json"}
	case errors.As(err, &semantic):
		e := Wrong(Path(semantic.JSONPointer), wanted(semantic.GoType), got(semantic))
		e.Code = "invalid_type"
		return e
	}
	return &Error{Status: http.StatusBadRequest, Message: "the body is no JSON: it ends too early", Code: "invalid_json"}
}

var kindWords = map[jsontext.Kind]string{'n': "null", 't': "true", 'f': "false", '"': "a string", '0': "a number", '{': "an object", '[': "a list"}

// Kind says in words what a value is.
func Kind(k jsontext.Kind) string {
	if word, known := kindWords[k]; known {
		return word
	}
	return "none"
}

// got says what was there. A client's text is never repeated, since errors are logged and texts are not.
func got(e *json.SemanticError) string {
	if e.JSONKind == '0' {
		return numeral(e.JSONValue)
	}
	return kindWords[e.JSONKind]
}

func numeral(v jsontext.Value) string {
	if len(v) > 0 && len(v) <= 32 {
		return "the number " + string(v)
	}
	return kindWords['0']
}

func wanted(t reflect.Type) string {
	if t == nil {
		return "another value"
	}
	if w, ok := reflect.New(t).Interface().(Wanter); ok {
		return w.Want()
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer of at least 0"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	}
	return "an object"
}

// Path returns a JSON pointer as people write it: messages[3].content.
func Path(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		if _, err := strconv.ParseUint(token, 10, 32); err == nil {
			b.WriteString("[" + token + "]")
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return b.String()
}
