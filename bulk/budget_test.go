package bulk

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

// No more is worked on at once than the budget allows, by several jobs together, and an item that is larger than the
// budget is worked on too.
func TestBudget(t *testing.T) {
	b, w := NewBudget(5, 1<<20), &echo{}
	var all sync.WaitGroup
	for range 3 {
		o := options(file(t, t.TempDir(), append(some(60), fmt.Sprintf(`{"custom_id":"large","method":"POST","url":%q,"body":{"n":100}}`, urls[0]))...))
		all.Add(1)
		go func() {
			defer all.Done()
			j, err := Open(t.Context(), o)
			if err != nil {
				t.Error(err)
				return
			}
			if err := errors.Join(j.Run(t.Context(), w, b, nil), j.Close()); err != nil {
				t.Error(err)
			}
		}()
	}
	all.Wait()
	if n := w.most.Load(); n > 5 {
		t.Errorf("%d at once, want at most 5", n)
	}
	tokens, one := NewBudget(100, 3*usualAnswer), &echo{}
	o := options(file(t, t.TempDir(), some(60)...))
	j, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(j.Run(t.Context(), one, tokens, nil), j.Close()); err != nil || one.most.Load() > 8 { // embeddings draw nothing
		t.Errorf("%d at once (%v)", one.most.Load(), err)
	}
}

// As many are worked on at once as the budget allows.
func TestBudgetUsed(t *testing.T) {
	var lines []string
	for i := range 20 {
		lines = append(lines, fmt.Sprintf(`{"custom_id":"%d","method":"POST","url":%q,"body":{}}`, i, urls[0]))
	}
	j, err := Open(t.Context(), options(file(t, t.TempDir(), lines...)))
	if err != nil {
		t.Fatal(err)
	}
	var five sync.WaitGroup
	five.Add(5)
	w := &echo{wait: func(n int) {
		if n <= 5 { // the first ones wait for each other
			five.Done()
			five.Wait()
		}
	}}
	if err := errors.Join(j.Run(t.Context(), w, NewBudget(5, 1<<20), nil), j.Close()); err != nil || w.most.Load() != 5 {
		t.Errorf("%d at once, want 5 (%v)", w.most.Load(), err)
	}
}

// Of several results of an item one that succeeded counts, else the last one, and each item counts once: also where a
// second try of what failed was stopped.
func TestSeveralResults(t *testing.T) {
	o := options(file(t, t.TempDir(), some(60)...))
	first, err := work(t.Context(), o, &echo{}, nil)
	if err != nil || first.Failed < 5 {
		t.Fatalf("%+v, %v", first, err)
	}
	again := o
	again.Again = true
	stop := errors.New("enough")
	if c, err := work(t.Context(), again, &echo{fail: stop, stop: 1}, nil); !errors.Is(err, stop) || c.Left() == 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	j, err := Open(t.Context(), o) // what failed again has two results, and the rest its first one
	if err != nil {
		t.Fatal(err)
	}
	if c := j.Counts(); c != first {
		t.Errorf("%+v after %+v", c, first)
	}
	index := int64(0)
	for !j.good.has(index) {
		index++
	}
	late := []byte(`{"id":"batch_req_late","custom_id":"late","response":null,"error":{"code":"a","message":"b"}}`)
	if err := j.journal.add(index, failed, late); err != nil {
		t.Fatal(err)
	}
	j.note(index, failed)
	if err := errors.Join(j.Finish(t.Context(), nil), j.Close()); err != nil {
		t.Fatal(err)
	}
	good, bad := results(t, o.Output), results(t, o.Errors)
	if c := j.Counts(); c != first || int64(len(good)) != c.Completed || int64(len(bad)) != c.Failed {
		t.Errorf("%+v after %+v: %d and %d results", c, first, len(good), len(bad))
	}
}
