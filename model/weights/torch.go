package weights

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

// mostSharing bounds how often a file's tensors may view the same bytes: together they have at most so many times the
// file's size. Tied weights need 2. Without a bound a small file could stand for a model of any size.
const mostSharing = 4

// storages gives the bytes of a file's storages, in the file's own memory.
type storages func(*torchStorage) ([]byte, error)

// torchContents makes tensors of the value that torch.save wrote, for a file of size bytes.
func torchContents(value any, of storages, size int) (contents, error) {
	d, _ := value.(*dict)
	d = findStateDict(d, 0, map[*dict]bool{})
	if d == nil {
		return contents{}, &Error{Field: "pickle", Want: "one dict of tensors (a state dict)", Got: outline(value)}
	}
	if strategy, ok := d.get(convertedBy).(str); ok {
		return contents{}, &Error{Field: "format", Want: "a model as it was published", Got: fmt.Sprintf("one that the rwkv package converted for itself (%s %q)", convertedBy, clip(string(strategy)))}
	}
	c := contents{}
	seen := map[string]bool{}
	room := int64(size) * mostSharing
	for i, v := range d.values {
		t, ok := v.(*torchTensor)
		if !ok || t.isCounter() {
			continue
		}
		name, err := tensorName(d.keys[i])
		if err != nil {
			return c, err
		}
		if seen[name] {
			return c, &Error{Tensor: name, Field: "state dict", Want: "one entry", Got: "the name twice"}
		}
		if len(seen) == maxTensors {
			return c, &Error{Field: "state dict", Want: fmt.Sprintf("at most %d tensors", maxTensors), Got: "more"}
		}
		seen[name] = true
		if t.storage.kind.typ == 0 {
			c.unread = append(c.unread, unread{name, t.dtype()})
			continue
		}
		out, err := t.tensor(name, of)
		if err != nil {
			return c, inTensor(name, err)
		}
		if room -= int64(out.Type.Bytes(out.Len())); room < 0 {
			return c, &Error{Tensor: name, Field: "storage", Want: fmt.Sprintf("tensors of at most %d times the file's %d bytes", mostSharing, size), Got: "more: they view the same bytes too often"}
		}
		c.tensors = append(c.tensors, out)
	}
	return c, nil
}

func tensorName(key any) (string, error) {
	s, ok := key.(str)
	if !ok {
		return "", &Error{Field: "state dict", Want: "strings for the names of tensors", Got: describe(key)}
	}
	if len(s) == 0 || len(s) > maxName || !utf8.Valid(s) {
		return "", &Error{Tensor: string(s[:min(len(s), maxName)]), Field: "name", Want: fmt.Sprintf("1 to %d bytes of UTF-8", maxName), Got: fmt.Sprintf("%d bytes", len(s))}
	}
	return string(s), nil
}

// convertedBy is the key under which convert_model of the rwkv package stores its strategy. It turns, scales and packs
// tensors for that strategy alone.
const convertedBy = "_strategy"

// containers are the keys under which training scripts keep a state dict, the likeliest first.
var containers = []string{"state_dict", "model_state_dict", "model", "module", "weights"}

// findStateDict returns the dict of tensors in d. It is one under a key of containers; else d, if d has tensors that
// can be read; else the only such dict among d's other values. It returns nil if there is none, or if there are
// several. It looks at each dict once, since a dict may contain itself.
func findStateDict(d *dict, depth int, seen map[*dict]bool) *dict {
	const deepest = 8
	if d == nil || depth > deepest || seen[d] {
		return nil
	}
	seen[d] = true
	for _, key := range containers {
		inner, _ := d.get(key).(*dict)
		if found := findStateDict(inner, depth+1, seen); found != nil {
			return found
		}
	}
	if slices.ContainsFunc(d.values, func(v any) bool { t, ok := v.(*torchTensor); return ok && t.storage.kind.typ != 0 }) {
		return d
	}
	var only *dict
	for _, v := range d.values {
		inner, _ := v.(*dict)
		found := findStateDict(inner, depth+1, seen)
		if found != nil && only != nil {
			return nil
		}
		if found != nil {
			only = found
		}
	}
	if only == nil && slices.ContainsFunc(d.values, func(v any) bool { t, ok := v.(*torchTensor); return ok && !t.isCounter() }) {
		return d // of types that are not read: the better error
	}
	return only
}

// get returns the last value under key, or nil.
func (d *dict) get(key string) (value any) {
	for i, k := range d.keys {
		if s, ok := k.(str); ok && string(s) == key {
			value = d.values[i]
		}
	}
	return value
}

// outline describes a value with the first keys of a dict.
func outline(v any) string {
	d, ok := v.(*dict)
	if !ok {
		return describe(v)
	}
	if len(d.keys) == 0 {
		return "an empty dict"
	}
	text := "a dict of"
	for i, k := range d.keys[:min(len(d.keys), 4)] {
		if s, ok := k.(str); ok {
			text += fmt.Sprintf(" %q: %s,", s[:min(len(s), 32)], describe(d.values[i]))
		} else {
			text += fmt.Sprintf(" %s: %s,", describe(k), describe(d.values[i]))
		}
	}
	text = text[:len(text)-1]
	if more := len(d.keys) - 4; more > 0 {
		return fmt.Sprintf("%s and %d more", text, more)
	}
	return text
}

// dtype names the type of t's elements.
func (t *torchTensor) dtype() string {
	if t.typ != "" {
		return string(t.typ)
	}
	return string(t.storage.kind.name)
}

// isCounter reports whether t is a single integer or bool. Modules keep such tensors as buffers, and no RWKV reads
// them.
func (t *torchTensor) isCounter() bool {
	return t.storage.kind.integer && !slices.ContainsFunc(t.shape, func(d int64) bool { return d != 1 })
}

// tensor checks t against its storage and returns it. If its elements lie in order it has the storage's own bytes, else
// each Load gathers them.
func (t *torchTensor) tensor(name string, of storages) (*tensor.Tensor, error) {
	s := t.storage
	n, err := t.check()
	if err != nil {
		return nil, err
	}
	raw, err := of(s)
	if err != nil {
		return nil, err
	}
	at := (s.first + t.offset) * s.kind.size
	shape, stride := make([]int, len(t.shape)), make([]int, len(t.shape))
	for i := range shape {
		shape[i], stride[i] = int(t.shape[i]), int(t.stride[i])
	}
	if inOrder(shape, stride) {
		end := at + n*s.kind.size
		return tensor.FromBytes(name, s.kind.typ, shape, raw[at:end:end]), nil
	}
	raw = raw[at : (s.first+s.count)*s.kind.size]
	size := int(s.kind.size)
	return tensor.New(name, s.kind.typ, shape, func() (all []byte, err error) {
		err = tensor.Use(raw, func() error {
			all = gather(raw, size, shape, stride)
			return nil
		})
		return all, err
	}), nil
}

// check returns the number of elements of t, after a check that all of them lie in its storage.
func (t *torchTensor) check() (n int64, err error) {
	room := t.storage.count
	if t.offset < 0 || t.offset >= room {
		return 0, &Error{Field: "offset", Want: fmt.Sprintf("one within the storage's %d elements", room), Got: fmt.Sprint(t.offset)}
	}
	n = 1
	last := t.offset
	for i, d := range t.shape {
		stride := t.stride[i]
		switch {
		case d < 1:
			return 0, &Error{Field: "shape", Want: "dimensions of 1 or more", Got: fmt.Sprint(t.shape)}
		case d > room/n: // hence no overflow, and d fits an int
			return 0, &Error{Field: "shape", Want: fmt.Sprintf("at most the storage's %d elements", room), Got: fmt.Sprint(t.shape)}
		case d > 1 && (stride < 0 || stride > (room-1-last)/(d-1)):
			return 0, &Error{Field: "stride", Want: fmt.Sprintf("elements within the storage's %d, from %d on", room, t.offset), Got: fmt.Sprintf("%v for the shape %v", t.stride, t.shape)}
		case d > 1:
			last += stride * (d - 1)
		}
		n *= d
	}
	return n, nil
}
