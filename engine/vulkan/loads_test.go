package vulkan

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/profile"
	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
)

// The way to load is measured once and kept: the next start takes it, whatever a measurement would say then.
func TestLoadsKept(t *testing.T) {
	dev, path := kernels(t).set.Dev, filepath.Join(t.TempDir(), "tuning.json")
	measure := func(tuner *tune.Tuner) profile.Loads {
		t.Helper()
		k := NewKernels(dev)
		defer k.Release()
		l, err := k.Loads(tuner)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	first := measure(tune.New(path, false, nil))
	if again := measure(tune.New(path, false, nil)); again != first {
		t.Errorf("first %s, then %s", first, again)
	}
	info := dev.Info()
	c := tune.Choice{Key: fmt.Sprintf("%s | %s | loads", info.Name, info.Driver), Forms: []tune.Form{{Kernel: "buffers"}, {Kernel: "texels"}}}
	tuner := tune.New(path, false, nil)
	if len(tuner.Known()) != 1 || tuner.Known()[c.Key].Kernel != first.String() {
		t.Errorf("want one entry of %s, got %v", first, tuner.Known())
	}
	for i, l := range []profile.Loads{profile.Buffers, profile.Texels} {
		tuner.Keep(&c, c.Forms[i], time.Millisecond)
		if got := measure(tune.New(path, false, nil)); got != l {
			t.Errorf("want the kept %s, got %s", l, got)
		}
	}
	tuner.Keep(&c, tune.Form{Kernel: "neither"}, time.Millisecond)
	anew := tune.New(path, false, nil)
	if got := measure(anew); anew.Known()[c.Key].Kernel != got.String() {
		t.Errorf("want it measured anew, got %s, kept %v", got, anew.Known())
	}
}
