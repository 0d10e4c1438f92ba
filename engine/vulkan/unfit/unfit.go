package unfit

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
)

// Way is a way to do a piece of work on a device. Its String is its key.
type Way struct {
	Loads string    // the way to load
	What  string    // the type of a product's weights, or the name of an op
	Form  tune.Form // nothing if the op has one form
}

// String names the way.
func (w Way) String() string {
	parts := []string{w.What}
	if w.Form != (tune.Form{}) {
		parts = append(parts, w.Form.String())
	}
	return strings.Join(append(parts, "("+w.Loads+")"), " ")
}

// Whole is the way that stands for a device on which some op has no way that gives right results.
const Whole = "device"

// Loading is the key of a way to load with which some op has no form that gives right results.
func Loading(loads string) string { return "loads from " + loads }

// NoneLeft is why a way to load or a device is unfit on which a piece of work, as Way.What names it, has no right form.
func NoneLeft(what string) string { return "no right form left for " + what }

// Known is what is unfit on one device with its present driver. The methods of a nil one find nothing and keep nothing.
// Any goroutine may call them.
type Known struct {
	mu   sync.Mutex
	list map[string]string // why, by key
}

// Has reports whether a way is unfit.
func (k *Known) Has(way string) bool {
	if k == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, ok := k.list[way]
	return ok
}

// Add notes that a way is unfit, and why.
func (k *Known) Add(way, why string) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list == nil {
		k.list = map[string]string{}
	}
	k.list[way] = why
}

// All returns the keys of what is unfit, in order, and why each is.
func (k *Known) All() (ways []string, why map[string]string) {
	if k == nil {
		return nil, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.list)), maps.Clone(k.list)
}

// Fit returns the forms that are not unfit, in their order.
func (k *Known) Fit(loads, what string, forms []tune.Form) []tune.Form {
	if k == nil {
		return forms
	}
	return slices.DeleteFunc(slices.Clone(forms), func(f tune.Form) bool { return k.Has(Way{loads, what, f}.String()) })
}
