package weights

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// Limits on a safetensors header. The first is the format's own; the others keep the memory that a hostile header can
// claim far below it, and lie an order of magnitude above the largest published RWKV file.
const (
	maxHeader  = 100_000_000 // bytes of JSON
	maxTensors = 1 << 15     // tensors, and also annotations
	maxName    = 256         // bytes of a tensor's name
	maxDims    = 8           // dimensions of a tensor
	maxMeta    = 1 << 20     // bytes of __metadata__
)

// entry is one tensor of a header; begin and end count from the first byte after the header.
type entry struct {
	name       string
	dtype      string
	typ        tensor.Type // 0 if dtype is not read
	bits       int64       // of an element
	shape      []int
	begin, end int64
}

// readSafetensors reads the format: 8 bytes of header length, little-endian; a JSON object that maps each name to
// dtype, shape and data_offsets; the data, which the tensors must tile without overlap, hole or rest.
func readSafetensors(data []byte) (contents, error) {
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader {
		return contents{}, &Error{Field: "header length", Want: fmt.Sprintf("at most %d bytes", maxHeader), Got: fmt.Sprint(n)}
	}
	if room := uint64(len(data) - 8); n > room {
		return contents{}, &Error{Field: "header length", Want: fmt.Sprintf("at most the %d bytes that follow it", room), Got: fmt.Sprintf("%d (truncated file?)", n)}
	}
	body := data[8+n:]
	h := header{scanner: scanner{text: data[8 : 8+n]}, body: int64(len(body)), seen: map[string]bool{}}
	if err := h.parse(); err != nil {
		return contents{}, err
	}
	if err := tile(h.entries, h.body); err != nil {
		return contents{}, err
	}
	c := contents{meta: h.meta, tensors: make([]*tensor.Tensor, 0, len(h.entries))}
	for _, e := range h.entries {
		if e.typ == 0 {
			c.unread = append(c.unread, unread{e.name, e.dtype})
			continue
		}
		c.tensors = append(c.tensors, tensor.FromBytes(e.name, e.typ, e.shape, body[e.begin:e.end:e.end]))
	}
	return c, nil
}

// header is the state of parsing one.
type header struct {
	scanner
	body    int64 // bytes after the header
	entries []entry
	meta    map[string]string
	seen    map[string]bool // names
}

func (h *header) parse() error {
	if len(h.text) == 0 || h.text[0] != '{' {
		return h.failAt(0, `'{'`)
	}
	if err := h.object(maxName, h.member); err != nil {
		return err
	}
	if h.peek(); h.at < len(h.text) {
		return h.fail("only padding after the header's closing brace")
	}
	return nil
}

// member reads the value of one name in the header's object.
func (h *header) member(name string) error {
	if h.seen[name] {
		return &Error{Tensor: name, Field: "header", Want: "one entry", Got: "the name twice"}
	}
	if name == "" {
		return h.fail("a tensor's name before this, not an empty string")
	}
	if len(h.seen) == maxTensors {
		return &Error{Field: "header", Want: fmt.Sprintf("at most %d tensors", maxTensors), Got: "more"}
	}
	h.seen[name] = true
	if name == "__metadata__" {
		return h.metadata()
	}
	e := entry{name: name}
	if err := h.entry(&e); err != nil {
		var at *Error
		if errors.As(err, &at) {
			at.Tensor = name
		}
		return err
	}
	h.entries = append(h.entries, e)
	return nil
}

// metadata reads the object of annotations, string to string.
func (h *header) metadata() error {
	h.meta = map[string]string{}
	size := 0
	return h.object(maxMeta, func(key string) error {
		value, err := h.str(maxMeta)
		if err != nil {
			return err
		}
		if _, ok := h.meta[key]; ok {
			return &Error{Field: "__metadata__", Want: "every key once", Got: fmt.Sprintf("%q twice", clip(key))}
		}
		if size += len(key) + len(value); size > maxMeta || len(h.meta) == maxTensors {
			return &Error{Field: "__metadata__", Want: fmt.Sprintf("at most %d bytes and %d keys", maxMeta, maxTensors), Got: "more"}
		}
		h.meta[key] = value
		return nil
	})
}

// entry reads and checks the description of one tensor.
func (h *header) entry(e *entry) error {
	var dtype string
	var shape, offsets []int64
	var seen []string
	err := h.object(maxName, func(field string) (err error) {
		if slices.Contains(seen, field) {
			return &Error{Field: field, Want: "the field once", Got: "it twice"}
		}
		seen = append(seen, field)
		switch field {
		case "dtype":
			dtype, err = h.str(maxName)
		case "shape":
			shape, err = h.naturals(maxDims, "dimensions")
		case "data_offsets":
			offsets, err = h.naturals(2, "offsets")
		default:
			return &Error{Field: "header", Want: "the fields dtype, shape, data_offsets", Got: fmt.Sprintf("%q", clip(field))}
		}
		var at *Error
		if errors.As(err, &at) && at.Field == "header" {
			at.Field = field
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, field := range []string{"dtype", "shape", "data_offsets"} {
		if !slices.Contains(seen, field) {
			return &Error{Field: field, Want: "this field", Got: "none"}
		}
	}
	if err := e.setType(dtype); err != nil {
		return err
	}
	return e.setShape(shape, offsets, h.body)
}

func (h *header) naturals(most int, what string) (list []int64, err error) {
	err = h.list('[', ']', func() error {
		if len(list) == most {
			return h.fail(fmt.Sprintf("at most %d %s", most, what))
		}
		n, err := h.natural()
		list = append(list, n)
		return err
	})
	return list, err
}

func (e *entry) setType(dtype string) error {
	e.dtype = dtype
	if typ, ok := tensor.ParseType(dtype); ok && slices.Contains(safetensorsTypes, typ) {
		e.typ, e.bits = typ, 8*int64(typ.Bytes(1))
		return nil
	}
	var ok bool
	if e.bits, ok = otherDtypes[dtype]; !ok {
		return &Error{Field: "dtype", Want: "one of " + typeNames(""), Got: fmt.Sprintf("%q", clip(dtype))}
	}
	return nil
}

// otherDtypes are the format's types that are not read, with the bits of an element.
var otherDtypes = map[string]int64{
	"BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64, "F64": 64, "C64": 64,
	"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}

// safetensorsTypes are the storage types this format can hold, of those the engine reads.
var safetensorsTypes = []tensor.Type{tensor.F32, tensor.F16, tensor.BF16}

// setShape checks that shape and offsets describe the same bytes, and that body, the size of the data, holds them.
func (e *entry) setShape(shape, offsets []int64, body int64) error {
	if len(offsets) != 2 {
		return &Error{Field: "data_offsets", Want: "two numbers", Got: fmt.Sprint(offsets)}
	}
	e.begin, e.end = offsets[0], offsets[1]
	switch {
	case e.begin > e.end:
		return &Error{Field: "data_offsets", Want: "the begin before the end", Got: fmt.Sprint(offsets)}
	case e.end > body:
		return &Error{Field: "data_offsets", Want: fmt.Sprintf("an end within the %d bytes of data", body), Got: fmt.Sprintf("%d (truncated file?)", e.end)}
	}
	n := e.bits
	for _, d := range shape {
		if d == 0 {
			if e.typ == 0 && e.begin == e.end {
				return nil
			}
			return &Error{Field: "shape", Want: "no dimension of 0", Got: fmt.Sprint(shape)}
		}
		if d > 8*body/n { // hence no overflow, and d fits an int
			return &Error{Field: "shape", Want: fmt.Sprintf("at most the %d bytes of data", body), Got: fmt.Sprintf("%s%v", e.dtype, shape)}
		}
		n *= d
		e.shape = append(e.shape, int(d))
	}
	if n = (n + 7) / 8; e.end-e.begin != n {
		return &Error{Field: "data_offsets", Want: fmt.Sprintf("%d bytes for %s%v", n, e.dtype, shape), Got: fmt.Sprint(e.end - e.begin)}
	}
	return nil
}

// tile checks that the entries cover the data exactly.
func tile(entries []entry, body int64) error {
	byPlace := make([]*entry, len(entries))
	for i := range entries {
		byPlace[i] = &entries[i]
	}
	slices.SortFunc(byPlace, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), strings.Compare(a.name, b.name))
	})
	at, last := int64(0), "the header"
	for _, e := range byPlace {
		if e.begin != at {
			how := "they overlap"
			if e.begin > at {
				how = "a hole between them"
			}
			return &Error{Tensor: e.name, Field: "data_offsets", Want: fmt.Sprintf("a begin at %d, where %s ends", at, clip(last)), Got: fmt.Sprintf("%d (%s)", e.begin, how)}
		}
		at, last = e.end, e.name
	}
	if at != body {
		return &Error{Field: "size", Want: fmt.Sprintf("%d bytes of data, as the header says", at), Got: fmt.Sprint(body)}
	}
	return nil
}
