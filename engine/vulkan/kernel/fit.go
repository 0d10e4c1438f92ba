package kernel

import (
	"fmt"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/kernel/emulated"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/unfit"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// none is the kernel of the form that stands for no form: all of them gave wrong results on the device.
const none = "none"

// IsNone reports whether a form stands for no form.
func IsNone(f tune.Form) bool { return f.Kernel == none }

// fit returns the forms that are not known to give wrong results on this device. If there are none, it returns those of
// spare, and if all of these are wrong too, the form that cannot be recorded.
func (e *Env) fit(what string, forms []tune.Form, spare func() []tune.Form) []tune.Form {
	if left := e.Set.Unfit.Fit(e.Loads.String(), what, forms); len(left) > 0 {
		return left
	}
	if left := e.Set.Unfit.Fit(e.Loads.String(), what, spare()); len(left) > 0 {
		return left
	}
	return []tune.Form{{Kernel: none}}
}

// lacks reports whether a way of an op is known to give wrong results on this device.
func (e *Env) lacks(what, kernel string) bool {
	return e.Set.Unfit.Has(unfit.Way{Loads: e.Loads.String(), What: what, Form: tune.Form{Kernel: kernel}}.String())
}

// noForm is the error of recording a piece of work that has no form left.
func (e *Env) noForm(what string) error {
	return fmt.Errorf("%w: every kernel for %s gave wrong results on %s ('rwkv-gpu doctor' says more)", gpu.ErrUnsupported, what, e.Set.Dev.Info().Name)
}

// spare returns the forms that can stand in for a product's usual ones on any device, fast or not.
func (u *Product) spare(n uint32) (list []tune.Form) {
	forms := u.env.Set.forms
	if u.env.Exact {
		return nil // others have sums of another order
	}
	for _, kernel := range []string{form.Vec, form.Tile, form.Reg, form.Bcast, form.Narrow, form.Hold} {
		own := kernel == form.Narrow || kernel == form.Hold
		if forms.Offers(kernel) && (!own || emulated.Takes(*forms.Profile, kernel, &u.Slab)) {
			list = append(list, forms.Within(forms.Of(kernel, n), &u.Slab, n))
		}
	}
	return list
}
