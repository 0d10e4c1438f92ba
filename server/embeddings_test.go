package server_test

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	client "github.com/openai/openai-go/v3"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

func product(x, y []float64) (sum float64) {
	for i := range x {
		sum += x[i] * y[i]
	}
	return sum
}

func TestEmbeddings(t *testing.T) {
	s := serve(t, nil)
	c := s.official()
	const fox, hare = "The fox sat by the river.", "The hare ran over the hill."
	p := client.EmbeddingNewParams{Model: "rwkv-test", Input: client.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{fox, hare, fox}}}
	got, err := c.Embeddings.New(t.Context(), p)
	if err != nil || len(got.Data) != 3 {
		t.Fatalf("%v: %+v", err, got)
	}
	for i, e := range got.Data {
		if n := product(e.Embedding, e.Embedding); int(e.Index) != i || len(e.Embedding) != 1024 || math.Abs(n-1) > 1e-5 {
			t.Errorf("embedding %d has index %d, %d dimensions, the square %v", i, e.Index, len(e.Embedding), n)
		}
	}
	if same, other := product(got.Data[0].Embedding, got.Data[2].Embedding), product(got.Data[0].Embedding, got.Data[1].Embedding); same < 0.9999 || other > 0.9 {
		t.Errorf("equal texts: %v, others: %v", same, other)
	}
	ids, err := s.model.Tok.AppendEncode(nil, []byte(fox+hare+fox))
	if err != nil || got.Usage.PromptTokens != int64(len(ids)) || got.Usage.TotalTokens != int64(len(ids)) {
		t.Errorf("%+v for %d tokens (%v)", got.Usage, len(ids), err)
	}
	// As base64, with another length, of ids.
	list, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 7, 4096} {
		var plain, coded struct {
			Data []struct{ Embedding any }
		}
		for format, to := range map[string]any{"float": &plain, "base64": &coded} {
			_, _, body := s.call(t, "POST", "/v1/embeddings", fmt.Sprintf(`{"input":%s,"encoding_format":%q,"dimensions":%d}`, list, format, n))
			if err := json.Unmarshal([]byte(body), to); err != nil {
				t.Fatalf("%v: %s", err, body)
			}
		}
		text, _ := coded.Data[0].Embedding.(string)
		b, err := base64.StdEncoding.DecodeString(text)
		values, _ := plain.Data[0].Embedding.([]any)
		if err != nil || len(b) != 4*n || len(values) != n {
			t.Fatalf("%d bytes and %d numbers for %d dimensions (%v)", len(b), len(values), n, err)
		}
		for i, v := range values {
			if x := math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:])); float32(v.(float64)) != x {
				t.Errorf("number %d of %d: %v as a number, %v in base64", i, n, v, x)
			}
		}
	}
}

func TestBadEmbeddings(t *testing.T) {
	fail := error(nil)
	s := serve(t, func(_ *server.Options, m *scripted.Model, _ *chat.Options) {
		m.Fail = func(*api.Request) error { return fail }
	})
	for body, want := range map[string]struct {
		status      int
		param, part string
	}{
		`{}`:                                  {400, "input", "missing"},
		`{"input":[]}`:                        {400, "input", "missing"},
		`{"input":""}`:                        {400, "input", "at least one token"},
		`{"input":["a",""]}`:                  {400, "input[1]", "at least one token"},
		`{"input":[[1],[-1]]}`:                {400, "input[1][0]", "a token id from 0"},
		`{"input":3}`:                         {400, "input", "want a string"},
		`{"input":"a","encoding_format":"x"}`: {400, "encoding_format", "base64"},
		`{"input":"a","dimensions":0}`:        {400, "dimensions", "from 1 to 8192"},
		`{"input":"a","model":"gpt"}`:         {404, "model", `no "gpt"`},
	} {
		status, _, got := s.call(t, "POST", "/v1/embeddings", body)
		wantError(t, body, status, want.status, got, want.param, want.part)
	}
	for err, status := range map[error]int{api.ErrBusy: 429, api.ErrDevice: 503, errors.New("x"): 500} {
		fail = err
		got, _, body := s.call(t, "POST", "/v1/embeddings", `{"input":["a","b","c","d","e","f","g"]}`)
		wantError(t, err.Error(), got, status, body, "", "")
	}
}
