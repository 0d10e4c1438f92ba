package main

import (
	"fmt"
	"strings"
)

// mutant is one mistake in one place of a shader.
type mutant struct {
	File  string // below shaders
	Old   string // occurs once in it
	New   string // what stands there instead
	Why   string // what the mistake breaks
	Only  string // regular expression of the variants that are made with it; "" for all that it changes
	Test  string // stage that should see it (see stages.go); "" for the file's
	Equal string // why no run can tell it from the original; "" where a test must fail
	Round bool   // it changes how sums round and nothing else, which compare allows
}

// all are the mutants, by file.
func all() []mutant {
	var list []mutant
	for _, part := range [][]mutant{opMutants, libMutants, blockMutants, matMulMutants, wkvMutants, sampleMutants, viewMutants} {
		list = append(list, part...)
	}
	return list
}

// name is unique: the file and its place in the list of that file's mutants.
func names(list []mutant) []string {
	seen := map[string]int{}
	out := make([]string, len(list))
	for i, m := range list {
		short := strings.TrimSuffix(strings.TrimSuffix(m.File, ".comp"), ".glsl")
		seen[short]++
		out[i] = fmt.Sprintf("%s/%d", short, seen[short])
	}
	return out
}

// apply returns the file's text with the mistake.
func (m *mutant) apply(text string) (string, error) {
	switch n := strings.Count(text, m.Old); {
	case n != 1:
		return "", fmt.Errorf("shaders/%s: want this once, found it %d times: %s", m.File, n, m.Old)
	case m.Old == m.New:
		return "", fmt.Errorf("shaders/%s: replaced by itself: %s", m.File, m.Old)
	}
	return strings.Replace(text, m.Old, m.New, 1), nil
}
