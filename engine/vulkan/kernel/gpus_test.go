package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/form"
	"github.com/rwkv-gpu/rwkv-gpu/gpu"
)

// families are the GPUs that TestGPUs compiles for: GCN 5 (gfx900, gfx906) and RDNA 1 to 3 (gfx1010, gfx1030, gfx1100),
// by the names that Mesa gives them.
var families = []string{"vega10", "vega20", "navi10", "navi21", "gfx1100"}

// TestGPUs has a driver's compiler make every kernel that the engine could choose on GPUs that are not there, in its
// own specialization for them, and wants no register spilled.
//
// RWKV_RADV names the manifest of Mesa's driver for AMD, of a version that knows RADV_FORCE_FAMILY (scripts/driver.sh
// radv); without one the test is skipped, or fails if RWKV_REQUIRE_RADV=1. Each GPU has a process of its own, since a
// driver may end one. With RWKV_GPUS=held this is such a process, whose GPU is what the Vulkan loader finds, whatever
// stands behind it; with RWKV_GPUS=table it prints a table of all kernels and names what spills, which is then no
// failure (scripts/gpus.sh).
func TestGPUs(t *testing.T) {
	switch mode := os.Getenv("RWKV_GPUS"); mode {
	case "held", "table":
		checkCompiled(t, mode == "table")
		return
	}
	radv := os.Getenv("RWKV_RADV")
	if radv == "" {
		absent(t, "RWKV_RADV names no driver to compile with")
	}
	for _, family := range families {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestGPUs$", "-test.v")
			cmd.Env = append(os.Environ(), "RWKV_GPUS=held", "VK_DRIVER_FILES="+radv, "VK_ICD_FILENAMES="+radv, "RADV_FORCE_FAMILY="+family)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if strings.Contains(string(out), "--- SKIP") {
				t.Skip(string(out))
			}
		})
	}
}

// absent skips the test for want of a driver, or fails it where one was promised.
func absent(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("RWKV_REQUIRE_RADV") == "1" {
		t.Fatal("required: " + why)
	}
	t.Skip(why)
}

// checkCompiled compiles for the loader's first device.
func checkCompiled(t *testing.T, table bool) {
	in, err := gpu.Open(gpu.Options{})
	if errors.Is(err, gpu.ErrNoDevice) {
		absent(t, err.Error())
	} else if err != nil {
		t.Fatal(err)
	}
	c := compiled{}
	dev, err := in.Device(0, gpu.DeviceOptions{NoPipelineCache: true, Statistics: c.add})
	if err != nil {
		t.Fatal(err)
	}
	info := dev.Info()
	if family := os.Getenv("RADV_FORCE_FAMILY"); !strings.Contains(strings.ToLower(info.Name), family) {
		absent(t, fmt.Sprintf("the driver made %s of RADV_FORCE_FAMILY=%s", info.Name, family))
	}
	k := NewSet(dev)
	if err := c.all(k); err != nil {
		t.Error(err)
	}
	for _, key := range k.Failed() {
		t.Errorf("kernel of %+v: the driver could not compile it", key)
	}
	if table {
		c.print(info)
	}
	for _, s := range c.order {
		if n := s.spilled(); n > 0 && !table {
			t.Errorf("%s on %s (%s): want no spilled registers, got %g", s.name, info.Name, info.Driver, n)
		}
	}
	c.complete(t, k)
	k.Release()
	if err := errors.Join(dev.Close(), in.Close()); err != nil {
		t.Error(err)
	}
}

// complete wants a kernel of every shader but those that no GPU runs.
func (c *compiled) complete(t *testing.T, k *Set) {
	list, err := os.ReadFile("../../../shaders/variants.txt")
	if os.IsNotExist(err) {
		return // away from the checkout, as in a root of another system
	} else if err != nil {
		t.Fatal(err)
	}
	emulated := regexp.MustCompile(`^(matmul_(reg|bcast|narrow|hold)|wkv[67]_narrow|wkv7_shared|bench_.*)$`)
	for line := range strings.Lines(string(list)) {
		shader, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if shader == "" || shader == "#" || emulated.MatchString(shader) || shader == "matmul_coop" && !k.forms.Offers(form.Coop) ||
			shader == "wkv7_step" && k.Is.Local.Step == 0 {
			continue
		}
		if !slices.ContainsFunc(c.order, func(s *compiledKernel) bool { return s.shader == shader }) {
			t.Errorf("no kernel of %s was compiled", shader)
		}
	}
}
