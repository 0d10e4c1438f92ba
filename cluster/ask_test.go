package cluster

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/cluster/clustertest"
)

// All peers of the group reply, and nobody else: to an empty question too, and with an empty reply.
func TestAsk(t *testing.T) {
	s := clustertest.Start(t, 1)
	serve := func(group string, reply func([]byte) []byte) *Node {
		n, err := Join(Options{URL: s.URL(), Name: "test", Group: group})
		if err == nil {
			err = n.Serve(func() Load { return Load{} }, nil, reply)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		return n
	}
	as := func(name string) func([]byte) []byte {
		return func(q []byte) []byte { return append([]byte(name), q...) }
	}
	a := serve("g", as("a"))
	if err := a.Ask(t.Context(), nil, func([]byte) bool { t.Error("a reply of nobody"); return false }); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"b", "c"} {
		serve("g", as(name))
	}
	serve("g", func([]byte) []byte { return nil })
	serve("other", as("other"))
	meet(t, a, 3)
	for _, q := range []string{"", " what now? "} {
		var got []string
		if err := a.Ask(t.Context(), []byte(q), func(r []byte) bool { got = append(got, string(r)); return false }); err != nil {
			t.Error(err)
		}
		slices.Sort(got)
		if want := []string{"", "b" + q, "c" + q}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	n := 0
	if err := a.Ask(t.Context(), nil, func([]byte) bool { n++; return true }); err != nil || n != 1 {
		t.Errorf("%d replies, %v, want one to be enough", n, err)
	}
	silent := join(t, s.URL(), "g", nil) // has no reply
	see(t, a, silent)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := a.Ask(ctx, nil, func([]byte) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a peer that does not reply: %v", err)
	}
}
