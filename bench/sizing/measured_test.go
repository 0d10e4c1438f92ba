package main

import (
	"fmt"
	"path/filepath"
	"testing"
)

// The simulation says within 15 % what was measured of one, two and three servers: with clients that come at random, and with
// more of them at once than the servers work on. testdata/README.md says how it was measured.
func TestMeasured(t *testing.T) {
	var c costs
	if err := readJSON(filepath.Join("testdata", "costs.json"), &c); err != nil {
		t.Fatal(err)
	}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	for replicas := 1; replicas <= 3; replicas++ {
		for _, kind := range []string{"load", "full"} {
			paths, err := filepath.Glob(filepath.Join("testdata", fmt.Sprintf("%s-%d-*.json", kind, replicas)))
			if err != nil || len(paths) == 0 {
				t.Fatalf("no traces of %d replicas: %v", replicas, err)
			}
			var measured, simulated figures
			for _, path := range paths {
				var one trace
				if err := readJSON(path, &one); err != nil {
					t.Fatal(err)
				}
				if one.Replicas != replicas {
					t.Fatalf("%s: want %d replicas, got %d", path, replicas, one.Replicas)
				}
				measured.add(one.measured())
				simulated.add(one.simulated(c))
			}
			if lost := measured.Turns - simulated.Turns; lost != 0 || measured.Turns < 80 {
				t.Errorf("%d replicas, %s: measured %d turns, simulated %d", replicas, kind, measured.Turns, simulated.Turns)
			}
			what := fmt.Sprintf("%d replicas, %s: ", replicas, kind)
			near(t, what+"tokens/s", simulated.Speed, measured.Speed, 0.15)
			near(t, what+"mean time to the first token", simulated.First/float64(simulated.Turns), measured.First/float64(measured.Turns), 0.15)
			near(t, what+"mean time to the last token", simulated.Took/float64(simulated.Turns), measured.Took/float64(measured.Turns), 0.15)
		}
	}
}

// add sums up figures: speeds, and times of all turns.
func (f *figures) add(g figures) {
	n := float64(g.Turns)
	f.Turns, f.Speed, f.First, f.Took = f.Turns+g.Turns, f.Speed+g.Speed, f.First+n*g.First, f.Took+n*g.Took
}
