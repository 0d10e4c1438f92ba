package main

import (
	"encoding/json"
	"os"
)

// finding is what a run found of a mutant.
type finding struct {
	Verdict verdict     `json:"verdict"`
	By      string      `json:"by"` // the test that failed
	Compare *comparison `json:"compare"`
}

// findings are those of earlier runs, by mutant.
type findings struct {
	path string
	list map[string]finding
}

func (m *mutant) key() string { return m.File + "\n" + m.Old + "\n" + m.New + "\n" + m.Only }

// readFindings returns what is kept in a file: nothing, if a run begins anew or there is none.
func readFindings(path string, resume bool) *findings {
	f := &findings{path: path, list: map[string]finding{}}
	if data, err := os.ReadFile(path); err == nil && resume {
		if json.Unmarshal(data, &f.list) != nil {
			f.list = map[string]finding{} // a run was ended while it wrote
		}
	}
	return f
}

// keep adds a mutant's finding.
func (f *findings) keep(r *result) error {
	f.list[r.key()] = r.finding
	data, err := json.Marshal(f.list)
	if err != nil {
		return err
	}
	return os.WriteFile(f.path, data, 0o644)
}
