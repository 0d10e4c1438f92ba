package conform

import (
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/gpu/gputest"
	"github.com/rwkv-gpu/rwkv-gpu/internal/spirv"
	"github.com/rwkv-gpu/rwkv-gpu/model/op/opcase"
)

// Where products may round to float16, the forms that do so are judged in place of those that keep float32's accuracy,
// and are wrong only if they are off by more than float16 allows. If they are, others take their place.
func TestRounding(t *testing.T) {
	prog := only(demoModel(t), "MatMul")
	run := func(b *breaker, o Options) (r *Report, k *vulkan.Kernels, rounded, kept int) {
		t.Helper()
		k = b.on(t)
		o.Program = prog
		r, err := Vulkan(t.Context(), k, o)
		if err != nil || len(r.Lost) > 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, x := range r.Results {
			switch {
			case strings.HasPrefix(x.Form, form.Half):
				rounded++
				if x.OK != (len(b.modules) == 0) || x.OK && x.NMSE <= opcase.Float32.NMSE {
					t.Errorf("%+v", x)
				}
			case strings.HasPrefix(x.Form, form.Coop):
				kept++
			case !x.OK || x.NMSE > opcase.Float32.NMSE:
				t.Errorf("%+v", x)
			}
		}
		return r, k, rounded, kept
	}
	_, _, rounded, kept := run(new(breaker), Options{})
	if rounded > 0 {
		t.Error("forms that round run where products may not")
	}
	if kept == 0 {
		t.Skipf("%s runs no products on cooperative matrices", gputest.Device(t).Info().Name)
	}
	if _, _, rounded, kept = run(new(breaker), Options{Half: true}); rounded == 0 || kept > 0 {
		t.Errorf("%d forms that round, %d that do not", rounded, kept)
	}
	b := new(breaker)
	for _, code := range modules(t, "matmul_coop.*.spv") {
		c, err := spirv.Decode(code)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.KHRMatrices(); err != nil { // as the driver gets it
			t.Fatal(err)
		}
		b.modules = append(b.modules, c.Encode())
	}
	_, k, rounded, _ := run(b, Options{Half: true})
	ways, _ := k.Unfit().All()
	if rounded == 0 || len(ways) != rounded || b.met == 0 {
		t.Errorf("%d forms that round, unfit: %q", rounded, ways)
	}
}
