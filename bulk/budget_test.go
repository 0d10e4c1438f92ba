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
	if n := w.most.Load(); n > 5 || n < 2 {
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
