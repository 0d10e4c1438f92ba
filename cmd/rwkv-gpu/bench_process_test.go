package main

import (
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

// A process of this program has all flags of this run that say what runs, and where.
func TestSelf(t *testing.T) {
	values := map[string]string{"model": "m", "vocab": "v", "device": "cpu", "quant": "q8_0", "lora": "l:2", "tuning": "off", "group-norm-eps": "1e-05", "threads": "3", "split": "3:1"}
	a := &app{}
	f := a.rootCommand().PersistentFlags()
	a.accuracyFlags(f)
	values["precision"], values["exact"] = "f16", "true"
	f.VisitAll(func(flag *pflag.Flag) {
		if value, ok := values[flag.Name]; ok {
			if err := f.Set(flag.Name, value); err != nil {
				t.Fatal(err)
			}
			return
		}
		if !slices.Contains([]string{"json", "quiet", "retune"}, flag.Name) { // each process is quiet, and none tunes anew
			t.Errorf("--%s is new: does a process need it?", flag.Name)
		}
	})
	p, err := a.self("bench", "--last")
	if err != nil || p.Args[0] != "bench" || p.Args[len(p.Args)-1] != "--last" {
		t.Fatalf("%q, %v", p.Args, err)
	}
	for name, value := range values {
		at := slices.Index(p.Args, "--"+name)
		if at < 0 || name != "exact" && p.Args[at+1] != value {
			t.Errorf("want --%s %s, got %q", name, value, p.Args)
		}
	}
}
