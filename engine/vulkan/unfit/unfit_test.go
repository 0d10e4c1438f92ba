package unfit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/engine/vulkan/tune"
)

// What is unfit is known to later processes on the same device with the same driver, and to no other. What is judged anew
// is forgotten unless it is wrong again, and nothing else is. A new driver's list replaces that of the old one.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache", "unfit.json")
	known := func(name, driver string) []string {
		t.Helper()
		k, err := Read(path, name, driver)
		if err != nil {
			t.Fatal(err)
		}
		ways, _ := k.All()
		return ways
	}
	write := func(name, driver string, ways ...string) {
		t.Helper()
		k := &Known{}
		for _, w := range ways {
			k.Add(w, "off by 7")
		}
		if err := k.Write(path, name, driver, nil); err != nil {
			t.Fatal(err)
		}
	}
	want := func(name, driver string, ways ...string) {
		t.Helper()
		if got := known(name, driver); !slices.Equal(got, ways) {
			t.Errorf("%s with %s: want %q, got %q", name, driver, ways, got)
		}
	}
	want("a", "1")
	write("a", "1", "y", "x")
	write("b", "1", "z")
	want("a", "1", "x", "y")
	want("b", "1", "z")
	want("a", "2")
	write("a", "2", "v")
	want("a", "1")
	want("a", "2", "v")
	write("a", "2")
	want("a", "2", "v")
	write("a", "2", "w", "x")
	k := &Known{}
	k.Add("w", "off by 8")
	if err := k.Write(path, "a", "2", func(way, why string) bool { return way != "x" && why == "off by 7" }); err != nil {
		t.Fatal(err)
	}
	want("a", "2", "w", "x")
	if k, err := Read(path, "a", "2"); err != nil || k.list["w"] != "off by 8" {
		t.Errorf("%v, %v", k, err)
	}
	if err := new(Known).Write(path, "a", "2", func(string, string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	want("a", "2")
	want("b", "1", "z")

	data, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(data), "off by 7") {
		t.Errorf("want the reason kept, got %s (%v)", data, err)
	}
	other := strings.Replace(string(data), `"kernels": "`, `"kernels": "other `, 1)
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	want("b", "1")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err = Read(path, "b", "1")
	if err == nil || !strings.Contains(err.Error(), "unfit.json") || strings.Contains(err.Error(), filepath.Dir(path)) {
		t.Errorf("want an error that names the file alone, got %v", err)
	}
	if k.Add("w", ""); k.Write(path, "b", "1", nil) != nil || !slices.Equal(known("b", "1"), []string{"w"}) {
		t.Error("a damaged file is not replaced")
	}
}

// A form is left out where its weights and its way to load are those that were judged.
func TestFit(t *testing.T) {
	vec, tile := tune.Form{Kernel: "vec", Rows: 2, Tokens: 1}, tune.Form{Kernel: "tile"}
	forms := []tune.Form{vec, tile}
	k := &Known{}
	k.Add(Way{"texels", "F16", vec}.String(), "")
	for _, c := range []struct {
		known       *Known
		loads, what string
		want        []tune.Form
	}{
		{k, "texels", "F16", forms[1:]}, {k, "buffers", "F16", forms}, {k, "texels", "F32", forms}, {nil, "texels", "F16", forms},
	} {
		if got := c.known.Fit(c.loads, c.what, forms); !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: want %v, got %v", c.loads, c.what, c.want, got)
		}
	}
	if !slices.Equal(forms, []tune.Form{vec, tile}) {
		t.Errorf("the list itself changed: %v", forms)
	}
	var none *Known
	if none.Add("x", ""); none.Has("x") {
		t.Error("nothing keeps something")
	}
}
