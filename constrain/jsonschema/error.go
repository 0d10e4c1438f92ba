package jsonschema

import "github.com/rwkv-gpu/rwkv-gpu/constrain/grammar"

// Error reports a schema that is faulty, or that asks for something not supported.
type Error struct {
	Pointer string // JSON pointer (RFC 6901) to what is wrong; "" is the whole schema
	Want    string
	Got     string
	err     error
}

func (e *Error) Error() string {
	at := e.Pointer
	if at == "" {
		at = "(root)"
	}
	return "schema: " + at + ": want " + e.Want + ", got " + e.Got
}

// Unwrap returns grammar.ErrTooLarge if the schema is too large, else nil.
func (e *Error) Unwrap() error { return e.err }

func tooLarge(at, what string) error {
	return &Error{Pointer: at, Want: "less", Got: what + ": schema too large", err: grammar.ErrTooLarge}
}

// unsupported reports that v, the value of a keyword, asks for what cannot be held to; why says it in a few words.
func unsupported(v *value, why string) error {
	return &Error{Pointer: v.at, Want: "what is supported", Got: v.describe() + ": " + why}
}
