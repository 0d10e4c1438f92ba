package wire

import (
	"errors"
	"reflect"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// List is a list that may also be written as its one element.
type List[T any] []T

// UnmarshalJSONFrom reads an element or a list of them.
func (l *List[T]) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	kind := d.PeekKind()
	switch kind {
	case '[':
		return json.UnmarshalDecode(d, (*[]T)(l))
	case 'n':
		*l = nil
		return d.SkipValue()
	}
	var one T
	if err := json.UnmarshalDecode(d, &one); err != nil {
		if errors.As(err, new(*json.SemanticError)) && kind != '{' {
			return Wrong("", l.Want(), kindWords[kind])
		}
		return err
	}
	*l = List[T]{one}
	return nil
}

// Want says what is taken.
func (l *List[T]) Want() string {
	one := wanted(reflect.TypeFor[T]())
	return one + " or a list of such"
}

// Prompts is the prompt of a completion: texts or token ids, one or several.
type Prompts []Prompt

// Prompt is a text or, if IDs is not nil, token ids.
type Prompt struct {
	Text string
	IDs  []int
}

// UnmarshalJSONFrom reads a string, a list of strings, a list of token ids, or a list of lists of token ids.
func (p *Prompts) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*p = nil
	switch kind := d.PeekKind(); kind {
	case 'n':
		return d.SkipValue()
	case '[':
	case '"':
		*p = make(Prompts, 1)
		return json.UnmarshalDecode(d, &(*p)[0])
	default:
		return Wrong("", p.Want(), kindWords[kind])
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if d.PeekKind() == '0' {
		ids, err := elements[int](d)
		*p = Prompts{{IDs: ids}}
		return err
	}
	all, err := elements[Prompt](d)
	*p = all
	return err
}

// Want says what is taken.
func (p *Prompts) Want() string {
	return "a string, a list of strings, a list of token ids or a list of lists of token ids"
}

// UnmarshalJSONFrom reads a string or a list of token ids.
func (p *Prompt) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	switch kind := d.PeekKind(); kind {
	case '"':
		return json.UnmarshalDecode(d, &p.Text)
	case '[':
		p.IDs = []int{}
		return json.UnmarshalDecode(d, &p.IDs)
	default:
		return Wrong("", p.Want(), kindWords[kind])
	}
}

// Want says what is taken.
func (p *Prompt) Want() string { return "a string or a list of token ids" }

// elements reads the elements of a list that has begun, and its end.
func elements[T any](d *jsontext.Decoder) ([]T, error) {
	list := []T{}
	for d.PeekKind() != ']' {
		var next T
		if err := json.UnmarshalDecode(d, &next); err != nil {
			return nil, err
		}
		list = append(list, next)
	}
	_, err := d.ReadToken()
	return list, err
}
