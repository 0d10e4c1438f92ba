package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
)

// finding is what a run found of a mutant.
type finding struct {
	Verdict verdict     `json:"verdict"`
	By      string      `json:"by"` // the test that failed
	Compare *comparison `json:"compare"`
}

// findings are those of earlier runs, each in a file that is named after the mutant and the modules that it makes: a
// finding counts as long as both are the same. Of changed tests, or of a changed compare, it knows nothing.
type findings struct{ dir string }

func (f findings) path(r *result) string {
	sum := sha256.Sum256([]byte(r.File + "\n" + r.Old + "\n" + r.New + "\n" + r.Only + "\n" + r.made.sum))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:10])+".json")
}

// of returns what was found of a mutant.
func (f findings) of(r *result) (found finding, err error) {
	data, err := os.ReadFile(f.path(r))
	if errors.Is(err, fs.ErrNotExist) {
		return finding{}, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &found)
	}
	return found, err
}

// keep adds a mutant's finding. What this run did not ask of it stays.
func (f findings) keep(r *result) error {
	have, err := f.of(r)
	if err != nil {
		return err
	}
	if r.Verdict == unknown {
		r.Verdict, r.By = have.Verdict, have.By
	}
	if r.Compare == nil {
		r.Compare = have.Compare
	}
	data, err := json.Marshal(r.finding)
	if err != nil {
		return err
	}
	return files.Keep(f.path(r), data, false)
}
