package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	client "github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// memory is an api.Shared, whose servers may be cut off.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte // nil for what was deleted
	cut  error
}

func (m *memory) Keep(_ context.Context, user, id string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut == nil {
		m.kept[user+" "+id] = data
	}
	return m.cut
}

func (m *memory) Kept(_ context.Context, user, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, found := m.kept[user+" "+id]
	if found && data == nil && m.cut == nil {
		return nil, api.ErrForgotten
	}
	return data, m.cut
}

func (m *memory) Forget(_ context.Context, user, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cut == nil {
		m.kept[user+" "+id] = nil
	}
	return m.cut
}

// A response that one server made can be read, gone on with and deleted at another. While they are cut off from each
// other, each has its own.
func TestSharedResponses(t *testing.T) {
	shared := &memory{kept: map[string][]byte{}}
	start := func() *served {
		return serve(t, func(_ *server.Options, _ *scripted.Model, o *chat.Options) { o.Shared = shared })
	}
	a, b := start(), start()
	ask := func(s *served, text, previous string) (*responses.Response, error) {
		p := responses.ResponseNewParams{Model: "rwkv-test", Input: responses.ResponseNewParamsInputUnion{OfString: client.String(text)}}
		if previous != "" {
			p.PreviousResponseID = client.String(previous)
		}
		c := s.official()
		return c.Responses.New(t.Context(), p)
	}
	must := func(r *responses.Response, err error) *responses.Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	get := func(s *served, id string) (*responses.Response, error) {
		c := s.official()
		return c.Responses.Get(t.Context(), id, responses.ResponseGetParams{})
	}
	gone := func(_ *responses.Response, err error) {
		t.Helper()
		var e *client.Error
		if !errors.As(err, &e) || e.StatusCode != 404 || e.Code != "response_not_found" {
			t.Error(err)
		}
	}
	one := must(ask(a, "Tell me of a fox.", ""))
	two := must(ask(b, "Go on.", one.ID))
	must(ask(a, "And then?", two.ID))
	const answer = "there was a fox. The end"
	want := "User: Tell me of a fox.\n\nAssistant: " + answer + "\n\nUser: Go on.\n\nAssistant: " + answer + "\n\nUser: And then?\n\nAssistant:"
	if asked := a.model.Asked(); segmentsText(asked[len(asked)-1]) != want {
		t.Errorf("got %q, want %q", segmentsText(asked[len(asked)-1]), want)
	}
	if got := must(get(b, one.ID)); got.RawJSON() != must(get(a, one.ID)).RawJSON() {
		t.Errorf("another response: %s", got.RawJSON())
	}
	shared.cut = errors.New("cut off")
	alone := must(ask(a, "Hi", ""))
	must(get(a, alone.ID))
	gone(get(b, alone.ID))
	must(get(b, one.ID)) // which it has seen
	var e *client.Error
	other := b.official()
	if err := other.Responses.Delete(t.Context(), one.ID); !errors.As(err, &e) || e.StatusCode != 503 || e.Code != "cluster_unreachable" {
		t.Errorf("deleted where others are not told: %v", err)
	}
	shared.cut = nil
	if err := other.Responses.Delete(t.Context(), one.ID); err != nil {
		t.Error(err)
	}
	gone(get(a, one.ID))
	gone(get(b, one.ID))
	must(ask(b, "Go on.", two.ID))
}
