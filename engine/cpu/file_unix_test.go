//go:build unix

package cpu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/op"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// written writes a model file, and returns its path and the model in it.
func written(t *testing.T) (string, *model.Model) {
	t.Helper()
	return writtenOf(t, 1024, func(string, []byte) {})
}

// writtenOf is written with so many inputs of each ffn.value. change may change the bytes of each tensor.
func writtenOf(t *testing.T, ffn int, change func(name string, data []byte)) (string, *model.Model) {
	t.Helper()
	size := weightstest.Size{Vocab: 2048, Embed: 256, Layers: 2, Head: 64, FFN: ffn, W: 8, A: 8, V: 8, G: 8}
	tensors := weightstest.RWKV7(size, tensor.F16, 1)
	for _, x := range tensors {
		data, err := x.Load()
		if err != nil {
			t.Fatal(err)
		}
		change(x.Name, data)
	}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(path, weightstest.Safetensors(tensors, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil { // a clock may be coarse: a write is later
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.NewWith(f, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return path, m
}

var fileSizes = op.Sizes{Slots: 1, Rows: 8, Seqs: 1, Outs: 1}

func oneToken() *op.Batch {
	var b op.Batch
	b.Add(0, []int{2000}, 1)
	return &b
}

// Matrices are read where the file has them: the copies are those that are stored in another order. The file may be
// closed before the executor, and what is needed says the same.
func TestInPlace(t *testing.T) {
	_, m := written(t)
	e := at("", 2)(t, m.Program, fileSizes, 0).(*Exec)
	copied, stored := 0, 0
	for _, c := range e.weights.copies {
		copied += len(c)
	}
	for _, s := range e.weights.stored {
		stored += len(s)
	}
	if len(e.weights.files) != 1 || copied > stored/10 {
		t.Errorf("%d files are held, and %d of %d bytes are copies", len(e.weights.files), copied, stored)
	}
	took := copied + 4*len(e.weights.floats)
	if said, _ := Needs(m.Program, fileSizes, 2); said != took {
		t.Errorf("said %d bytes of weights, took %d", said, took)
	}
	if said := SpareUse(m.Program, 2); said == 0 || said != len(e.columns) {
		t.Errorf("said %d bytes of copies, took %d", said, len(e.columns))
	}
	if err := e.Forward(oneToken()); err != nil {
		t.Fatal(err)
	}
	b := oneToken()
	if n := testing.AllocsPerRun(20, func() { _ = e.Forward(b) }); n >= 1 {
		t.Errorf("%g allocations in a pass", n)
	}
	if err := errors.Join(e.ResetState(0), e.Forward(b)); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(e.Logits(0))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.ResetState(0); err != nil {
		t.Fatal(err)
	}
	if err := e.Forward(oneToken()); err != nil || !sameBits(want, e.Logits(0)) {
		t.Errorf("after the file was closed: %v", err)
	}
}

// A file that somebody writes to is an error before anything is run.
func TestTouched(t *testing.T) {
	path, m := written(t)
	e := at("", 2)(t, m.Program, fileSizes, 0)
	if err := os.Chtimes(path, time.Time{}, time.Now()); err != nil {
		t.Fatal(err)
	}
	err := e.Forward(oneToken())
	if !errors.Is(err, weights.ErrChanged) || !strings.Contains(err.Error(), path) || !op.IsNotRun(err) {
		t.Errorf("want an error that the file changed, and that nothing was run, got %v", err)
	}
}

// lookedAt is a context that calls then when it is looked at for the last of so many times.
type lookedAt struct {
	context.Context
	looks int
	then  func()
}

func (l *lookedAt) Err() error {
	if l.looks--; l.looks == 0 {
		l.then()
	}
	return nil
}

// A file that is overwritten during a pass, be it in the first step or in the last one, is an error, since the numbers
// are of no file. The error does not say that nothing was run.
func TestOverwritten(t *testing.T) {
	for i := range 3 {
		path, m := written(t)
		e := at("", 2)(t, m.Program, fileSizes, 0).(*Exec)
		step := i * (len(e.steps) - 1) / 2
		ctx := &lookedAt{t.Context(), 2 + step, func() { // ForwardContext looks once, and then before each step
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err = f.WriteAt([]byte{1, 2}, 1<<16); errors.Join(err, f.Close()) != nil {
				t.Fatal(err)
			}
		}}
		err := e.ForwardContext(ctx, oneToken())
		if !errors.Is(err, weights.ErrChanged) || !strings.Contains(err.Error(), path) || op.IsNotRun(err) {
			t.Errorf("overwritten before step %d of %d: want an error that the file changed, got %v", step, len(e.steps), err)
		}
	}
}

// A file that is cut during a pass is an error, not the end of the process.
func TestCut(t *testing.T) {
	reference.CutFiles(t)
	path, m := written(t)
	e := at("", 2)(t, m.Program, fileSizes, 0).(*Exec)
	if err := e.Stage(oneToken()); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	err := fileError(e.pool.run(t.Context(), e.tasks)) // as if the file had been cut behind Forward's look at it
	if !errors.Is(err, weights.ErrChanged) || !strings.Contains(err.Error(), path) || op.IsNotRun(err) {
		t.Errorf("want an error that the file changed, got %v", err)
	}
	if err := e.Forward(oneToken()); !errors.Is(err, weights.ErrChanged) {
		t.Errorf("the next pass: %v", err)
	}
	for name, err := range map[string]error{"Read": second(e.Read(m.Program.Of(op.Weight)[0])), "WeightSum": second(e.WeightSum())} {
		if !errors.Is(err, weights.ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
