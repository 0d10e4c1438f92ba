package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// Of held-out stories, the second half is mostly found by the first: its embedding has the smallest angle to that of the
// first, of all second halves. docs/serve.md tells the figure for 60 stories, which RWKV_OPERATIONS has tried.
func TestServeEmbeddings(t *testing.T) {
	data, err := os.ReadFile(reference.Shared(t, "demo-model", "held-out", "stories.valid.txt"))
	if err != nil {
		t.Fatal(err)
	}
	n := 10
	if os.Getenv("RWKV_OPERATIONS") != "" {
		n = 60
	}
	var first, second []string
	for story := range strings.SplitSeq(string(data), "\n\n----\n\n") {
		if words := strings.Fields(story); len(words) >= 60 && len(first) < n {
			half := len(words) / 2
			first = append(first, strings.Join(words[:half], " "))
			second = append(second, strings.Join(words[half:], " "))
		}
	}
	s := startServing(t, "--device", "cpu")
	embed := func(texts []string) (list [][]float64) {
		t.Helper()
		body, err := json.Marshal(map[string]any{"input": texts})
		if err != nil {
			t.Fatal(err)
		}
		var a struct {
			Data []struct{ Embedding []float64 }
		}
		s.read(t, "/v1/embeddings", string(body), &a)
		for _, e := range a.Data {
			list = append(list, e.Embedding)
		}
		return list
	}
	a, b := embed(first), embed(second)
	product := func(x, y []float64) (sum float64) {
		for i := range x {
			sum += x[i] * y[i]
		}
		return sum
	}
	found := 0
	for i := range a {
		best := 0
		for k := range b {
			if product(a[i], b[k]) > product(a[i], b[best]) {
				best = k
			}
		}
		if best == i {
			found++
		}
	}
	t.Logf("of %d stories, the second half is found for %d", len(a), found)
	if len(a) != n || found < n*2/3 {
		t.Errorf("of %d stories, the second half is found for %d", len(a), found)
	}
	if status := s.end(t, syscall.SIGTERM); status != statusDone {
		t.Errorf("status %d: %s", status, s.log)
	}
}

// A model of RWKV-4 has no memory that would make an embedding, which it says.
func TestServeNoEmbeddings(t *testing.T) {
	v4 := writeFile(t, "v4.st", weightstest.Safetensors(weightstest.RWKV("v4", weightstest.Tiny, tensor.F16, 1), nil))
	s := startServing(t, "--device", "cpu", "--model", v4, "--vocab", writeFile(t, "v.txt", worldOf(60)))
	r, err := http.Post(s.url+"/v1/embeddings", "", strings.NewReader(`{"input":[[1,2]]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "RWKV-5 or newer, got v4") {
		t.Errorf("%d %s (%v)", r.StatusCode, text, err)
	}
}
