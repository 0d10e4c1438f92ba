package weights

import (
	"fmt"
	"strings"
)

// rebuilders are the functions that a pickle may name, and what reduce makes of their arguments.
var rebuilders map[global]func(*unpickler, tuple) (any, error)

func init() { // not a literal: the last one looks others up
	rebuilders = map[global]func(*unpickler, tuple) (any, error){
		"collections.OrderedDict":                    (*unpickler).newDict,
		"collections.defaultdict":                    (*unpickler).emptyDict,
		"collections.Counter":                        (*unpickler).emptyDict,
		"collections.deque":                          func(*unpickler, tuple) (any, error) { return &list{}, nil },
		"torch._utils._rebuild_tensor":               arguments(4, 4, (*unpickler).newTensor),
		"torch._utils._rebuild_tensor_v2":            arguments(6, 7, (*unpickler).newTensor),
		"torch._utils._rebuild_tensor_v3":            arguments(7, 8, (*unpickler).newTyped),
		"torch._utils._rebuild_parameter":            arguments(3, 3, (*unpickler).newParameter),
		"torch._utils._rebuild_parameter_with_state": arguments(4, 4, (*unpickler).newParameter),
		"torch._tensor._rebuild_from_type_v2":        arguments(4, 4, (*unpickler).newOfType),
	}
}

// arguments returns make for calls with so many arguments.
func arguments(least, most int, make func(*unpickler, tuple) (any, error)) func(*unpickler, tuple) (any, error) {
	return func(u *unpickler, args tuple) (any, error) {
		if len(args) < least || len(args) > most {
			return nil, u.fail(fmt.Sprintf("%d to %d arguments that rebuild a tensor", least, most), describe(args))
		}
		return make(u, args)
	}
}

// persistent turns ("storage", class, key, device, elements) into a storage. Older files have a sixth part: None or
// (key of the view, first element, elements).
func (u *unpickler) persistent() error {
	values, err := u.pop(1)
	if err != nil {
		return err
	}
	id, ok := values[0].(tuple)
	if !ok || len(id) < 5 || len(id) > 6 {
		return u.fail("a tuple of 5 or 6 that identifies a storage", describe(values[0]))
	}
	word, _ := id[0].(str)
	class, _ := id[1].(global)
	key, isString := id[2].(str)
	n, isNumber := id[4].(int64)
	kind, isStorage := storageKinds[class]
	switch {
	case string(word) != "storage":
		return u.fail(`"storage"`, describe(id[0]))
	case !isStorage:
		return u.fail("a storage class", describe(id[1]))
	case !isString || len(key) > maxName:
		return u.fail(fmt.Sprintf("a storage key, a string of at most %d bytes", maxName), describe(id[2]))
	case !isNumber || n < 0:
		return u.fail("a number of elements", describe(id[4]))
	}
	s := &torchStorage{kind: kind, key: key, all: n, count: n}
	if len(id) == 6 {
		if err := u.part(s, id[5]); err != nil {
			return err
		}
	}
	u.storages = append(u.storages, s)
	return u.push(s)
}

// part narrows s to the view that older files describe.
func (u *unpickler) part(s *torchStorage, v any) error {
	if _, ok := v.(none); ok {
		return nil
	}
	view, _ := v.(tuple)
	if len(view) != 3 {
		return u.fail("None or a tuple of 3 for the view of a storage", describe(v))
	}
	first, ok := view[1].(int64)
	count, ok2 := view[2].(int64)
	if !ok || !ok2 {
		return u.fail("two numbers for the view of a storage", describe(view[1])+" and "+describe(view[2]))
	}
	if first < 0 || count < 0 || first > s.all || count > s.all-first {
		return u.fail(fmt.Sprintf("a view within the %d elements of the storage", s.all), fmt.Sprintf("%d from %d", count, first))
	}
	s.first, s.count = first, count
	return nil
}

// reduce does what calling one of the known functions would do.
func (u *unpickler) reduce() error {
	values, err := u.pop(2)
	if err != nil {
		return err
	}
	fn, _ := values[0].(global)
	args, ok := values[1].(tuple)
	if !ok {
		return u.fail("a tuple of arguments", describe(values[1]))
	}
	make := rebuilders[fn]
	switch {
	case make == nil && !fn.isHarmless():
		return u.fail("a call that builds a tensor or dict", describe(values[0])+" with "+describe(args))
	case make == nil:
		return u.push(object{fn})
	}
	v, err := make(u, args)
	if err != nil {
		return err
	}
	return u.push(v)
}

// newObject does what NEWOBJ does for a harmless class; a class of dicts gives an empty one.
func (u *unpickler) newObject() error {
	values, err := u.pop(2)
	if err != nil {
		return err
	}
	class, _ := values[0].(global)
	if _, ok := values[1].(tuple); !ok || !class.isHarmless() {
		return u.fail("a harmless class and a tuple of arguments", describe(values[0])+" and "+describe(values[1]))
	}
	if class.isDict() {
		return u.push(&dict{})
	}
	return u.push(object{class})
}

// emptyDict returns the dict of a class whose arguments are not its items.
func (u *unpickler) emptyDict(tuple) (any, error) { return &dict{}, nil }

// newParameter returns the tensor that a parameter wraps.
func (u *unpickler) newParameter(args tuple) (any, error) {
	t, ok := args[0].(*torchTensor)
	if !ok {
		return nil, u.fail("a tensor in the parameter", describe(args[0]))
	}
	return t, nil
}

// newTyped returns a tensor whose type is an argument, as its storage has none.
func (u *unpickler) newTyped(args tuple) (any, error) {
	v, err := u.newTensor(args)
	if err != nil {
		return nil, err
	}
	typ, ok := args[6].(global)
	if !ok || !dtypes.MatchString(string(typ)) {
		return nil, u.fail("a type of elements in the tensor"+u.name(), describe(args[6]))
	}
	t := v.(*torchTensor)
	t.typ = typ
	return t, nil
}

// newOfType returns the tensor of a subclass: what another function makes, with attributes that say nothing about
// numbers.
func (u *unpickler) newOfType(args tuple) (any, error) {
	fn, _ := args[0].(global)
	inner, ok := args[2].(tuple)
	if !ok || !strings.HasPrefix(string(fn), "torch._utils._rebuild_tensor") {
		return nil, u.fail("a function that rebuilds a tensor, and its arguments", describe(args[0])+" and "+describe(args[2]))
	}
	return rebuilders[fn](u, inner)
}

// newDict returns an OrderedDict, empty or of the list of pairs that Python 2 wrote.
func (u *unpickler) newDict(args tuple) (any, error) {
	d := &dict{}
	if len(args) == 0 {
		return d, nil
	}
	pairs, ok := args[0].(*list)
	if !ok || len(args) != 1 {
		return nil, u.fail("no arguments or a list of pairs", describe(args))
	}
	if u.pushed += 2 * len(pairs.items); u.pushed > maxValues {
		return nil, u.fail(fmt.Sprintf("at most %d values", maxValues), "more")
	}
	for _, p := range pairs.items {
		var pair []any
		switch p := p.(type) {
		case tuple:
			pair = p
		case *list:
			pair = p.items
		}
		if len(pair) != 2 {
			return nil, u.fail("a pair of key and value", describe(p))
		}
		d.keys, d.values = append(d.keys, pair[0]), append(d.values, pair[1])
	}
	return d, nil
}

// newTensor takes storage, offset, shape and stride from a rebuild function's arguments. The others (requires_grad,
// hooks, metadata) say nothing about the numbers.
func (u *unpickler) newTensor(args tuple) (any, error) {
	s, ok := args[0].(*torchStorage)
	if !ok {
		return nil, u.fail("a storage in the tensor"+u.name(), describe(args[0]))
	}
	t := &torchTensor{storage: s}
	if t.offset, ok = args[1].(int64); !ok {
		return nil, u.fail("an offset in the tensor"+u.name(), describe(args[1]))
	}
	var err error
	if t.shape, err = u.numbers(args[2], "shape"); err != nil {
		return nil, err
	}
	if t.stride, err = u.numbers(args[3], "stride"); err != nil {
		return nil, err
	}
	if len(t.shape) != len(t.stride) {
		return nil, u.fail(fmt.Sprintf("%d strides in the tensor%s", len(t.shape), u.name()), fmt.Sprint(len(t.stride)))
	}
	return t, nil
}

// numbers returns v as a tuple of at most maxDims numbers.
func (u *unpickler) numbers(v any, what string) ([]int64, error) {
	parts, ok := v.(tuple)
	if !ok || len(parts) > maxDims {
		return nil, u.fail(fmt.Sprintf("a %s of at most %d numbers in the tensor%s", what, maxDims, u.name()), describe(v))
	}
	out := make([]int64, len(parts))
	for i, p := range parts {
		if out[i], ok = p.(int64); !ok {
			return nil, u.fail("a "+what+" of numbers in the tensor"+u.name(), describe(p))
		}
	}
	return out, nil
}

// name returns what a tensor under construction will probably be called: the key that waits on the stack for it.
func (u *unpickler) name() string {
	if len(u.stack) > 0 {
		if key, ok := u.stack[len(u.stack)-1].(str); ok && len(key) > 0 {
			return " " + clip(strings.ToValidUTF8(string(key[:min(len(key), maxName)]), "?"))
		}
	}
	return ""
}

// build drops the attributes of a dict or object: what torch keeps there (_metadata) says nothing about the numbers.
func (u *unpickler) build() error {
	if _, err := u.pop(1); err != nil {
		return err
	}
	top, err := u.top()
	if err != nil {
		return err
	}
	switch top.(type) {
	case *dict, object:
		return nil
	}
	return u.fail("a dict whose attributes to set", describe(top))
}
