package main

import (
	"encoding/json"
	"errors"
	"io/fs"
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

// openFindings returns what is kept in a file: nothing, if a run begins anew.
func openFindings(path string, resume bool) (*findings, error) {
	f := &findings{path: path, list: map[string]finding{}}
	if !resume {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return f, nil
}

// read takes in what the file holds: runs of other mutants may write to it at the same time.
func (f *findings) read() {
	if data, err := os.ReadFile(f.path); err == nil {
		_ = json.Unmarshal(data, &f.list) // of one that was ended while it wrote, what can be read counts
	}
}

// of returns what was found of a mutant.
func (f *findings) of(m *mutant) finding {
	f.read()
	return f.list[m.key()]
}

// keep adds a mutant's finding. What another run found of it meanwhile stays.
func (f *findings) keep(r *result) error {
	f.read()
	have := f.list[r.key()]
	if r.Verdict == unknown {
		r.Verdict, r.By = have.Verdict, have.By
	}
	if r.Compare == nil {
		r.Compare = have.Compare
	}
	f.list[r.key()] = r.finding
	data, err := json.Marshal(f.list)
	if err != nil {
		return err
	}
	return os.WriteFile(f.path, data, 0o644)
}
