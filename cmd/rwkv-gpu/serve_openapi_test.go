package main

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi/contract"
	"github.com/rwkv-gpu/rwkv-gpu/server/scripted"
)

// What is served is described, and what is described is served.
func TestDescribedRoutes(t *testing.T) {
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := &scripted.Model{Tok: tok, What: api.Info{Vocab: tok.Size()}}
	routes, err := routesOf(m, chat.Options{}, true)
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(server.Options{Routes: routes, Keys: new(keys.Ring), Metrics: server.NewMetrics(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi.Document(openapi.Options{Vocab: tok.Size()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.New(document)
	if err != nil {
		t.Fatal(err)
	}
	served := s.Patterns()
	if last := len(served) - 1; served[last] != "/" {
		t.Errorf("want / as the last pattern, got %s", served[last])
	} else {
		served = served[:last]
	}
	slices.Sort(served)
	if described := c.Operations(); !slices.Equal(served, described) {
		t.Errorf("served    %q\ndescribed %q", served, described)
	}
}
