package weights

import (
	"fmt"
	"slices"

	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

const untypedStorage global = "torch.storage.UntypedStorage"

// The values a pickle can hold, beside bool, int64 and float64. Lists and dicts may contain themselves.
type (
	none   struct{}
	str    []byte // a string or bytes, aliasing the file
	bigint []byte // a number of more than 8 bytes, little-endian
	tuple  []any
	list   struct{ items []any }
	dict   struct{ keys, values []any } // in order of insertion; keys may repeat
	global string                       // the name of a function or class: module.name
	object struct{ class global }       // what calling a harmless class would make: nothing of it is kept
)

// torchStorage is a reference to an array of elements in the file.
type torchStorage struct {
	kind *storageKind
	key  str
	all  int64 // elements in the file's array
	// first and count are the part that is meant. Only files from before torch 0.4 mean less than all.
	first, count int64
}

// torchTensor is a view of a storage, in elements. Its numbers are as the file has them, unchecked.
type torchTensor struct {
	storage       *torchStorage
	typ           global // of the elements, where the storage's class does not tell
	offset        int64
	shape, stride []int64
}

// storageKind is one of torch's storage classes.
type storageKind struct {
	name    global
	size    int64       // bytes of an element
	typ     tensor.Type // 0 for kinds the engine does not read
	integer bool        // or bool
}

// storageKinds are torch's storage classes, with those that are known only to be named or skipped.
var storageKinds = func() map[global]*storageKind {
	kinds := map[global]*storageKind{}
	for _, k := range []storageKind{
		{"torch.FloatStorage", 4, tensor.F32, false},
		{"torch.HalfStorage", 2, tensor.F16, false},
		{"torch.BFloat16Storage", 2, tensor.BF16, false},
		{"torch.DoubleStorage", 8, 0, false},
		{"torch.ComplexFloatStorage", 8, 0, false},
		{"torch.ComplexDoubleStorage", 16, 0, false},
		{"torch.LongStorage", 8, 0, true},
		{"torch.IntStorage", 4, 0, true},
		{"torch.ShortStorage", 2, 0, true},
		{"torch.CharStorage", 1, 0, true},
		{"torch.ByteStorage", 1, 0, true},
		{"torch.BoolStorage", 1, 0, true},
		{"torch.QInt8Storage", 1, 0, false},
		{"torch.QUInt8Storage", 1, 0, false},
		{"torch.QInt32Storage", 4, 0, false},
		{untypedStorage, 1, 0, false}, // of float8 and other types that are younger than typed storages
	} {
		kinds[k.name] = &k
	}
	return kinds
}()

// describe names the kind of a value in errors.
func describe(v any) string {
	switch v := v.(type) {
	case none:
		return "None"
	case bool:
		return "a bool"
	case int64, bigint:
		return "an integer"
	case float64:
		return "a float"
	case str:
		return "a string"
	case tuple:
		return fmt.Sprintf("a tuple of %d", len(v))
	case *list:
		return "a list"
	case *dict:
		return "a dict"
	case global:
		return "the name " + string(v)
	case *torchStorage:
		return "a storage"
	case object:
		return "an object of " + string(v.class)
	}
	return "a tensor"
}

func (u *unpickler) tuple() error {
	values, err := u.popMark()
	if err != nil {
		return err
	}
	return u.push(tuple(slices.Clone(values)))
}

func tupleOf(n int) func(*unpickler) error {
	return func(u *unpickler) error {
		values, err := u.pop(n)
		if err != nil {
			return err
		}
		return u.push(tuple(slices.Clone(values)))
	}
}

func (u *unpickler) appendOne() error {
	values, err := u.pop(1)
	if err != nil {
		return err
	}
	return u.appendAll(values)
}

func (u *unpickler) appendMany() error {
	values, err := u.popMark()
	if err != nil {
		return err
	}
	return u.appendAll(values)
}

func (u *unpickler) appendAll(values []any) error {
	top, err := u.top()
	if err != nil {
		return err
	}
	l, ok := top.(*list)
	if !ok {
		return u.fail("a list", describe(top))
	}
	l.items = append(l.items, values...)
	return nil
}

func (u *unpickler) setItem() error {
	values, err := u.pop(2)
	if err != nil {
		return err
	}
	return u.setAll(values)
}

func (u *unpickler) setItems() error {
	values, err := u.popMark()
	if err != nil {
		return err
	}
	return u.setAll(values)
}

func (u *unpickler) setAll(pairs []any) error {
	top, err := u.top()
	if err != nil {
		return err
	}
	d, ok := top.(*dict)
	if !ok {
		return u.fail("a dict", describe(top))
	}
	if len(pairs)%2 != 0 {
		return u.fail("pairs of key and value", fmt.Sprintf("%d values", len(pairs)))
	}
	for i := 0; i < len(pairs); i += 2 {
		d.keys, d.values = append(d.keys, pairs[i]), append(d.values, pairs[i+1])
	}
	return nil
}

func (u *unpickler) global() error {
	module, err := u.line()
	if err != nil {
		return err
	}
	name, err := u.line()
	if err != nil {
		return err
	}
	return u.pushGlobal(module, name)
}

func (u *unpickler) stackGlobal() error {
	values, err := u.pop(2)
	if err != nil {
		return err
	}
	module, ok := values[0].(str)
	name, ok2 := values[1].(str)
	if !ok || !ok2 {
		return u.fail("two strings", describe(values[0])+" and "+describe(values[1]))
	}
	return u.pushGlobal(module, name)
}

func (u *unpickler) pushGlobal(module, name []byte) error {
	g := global(clip(string(module[:min(len(module), maxName)])) + "." + clip(string(name[:min(len(name), maxName)])))
	_, isStorage := storageKinds[g]
	if isStorage || rebuilders[g] != nil || g.isHarmless() {
		return u.push(g)
	}
	return &Error{Field: "pickle", Want: "a state dict, which names only torch's storages and functions that rebuild tensors", Got: fmt.Sprintf("the name %s at byte %d: refused", g, u.opAt)}
}
