package main

import (
	"path/filepath"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/local"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
)

// keptStates opens the store of the states that clients keep by id. With a folder for the cache they are files in it,
// those of each model in a folder of their own.
func (a *app) keptStates(o *serveFlags, m *load.Opened, model *local.Model, ring *keys.Ring) (*states.Store, error) {
	limits := states.Options{Bytes: int64(o.states), PerUser: int64(o.statesPerKey)}
	if limits.Bytes == 0 {
		limits.Bytes = -1
	}
	if limits.PerUser == 0 && ring.Asked() {
		limits.PerUser = limits.Bytes / 2
	}
	if o.disk == "" {
		return states.New(model, limits), nil
	}
	id, err := m.ID()
	if err != nil {
		return nil, err
	}
	limits.Dir = filepath.Join(o.disk, "states", id)
	s, err := states.Open(model, limits, func(path string, err error) { a.notice("left alone: %s: %v", path, err) })
	return s, blame(limits.Dir, err)
}

// measureStates has figures of kept states told.
func measureStates(g *server.Metrics, s *states.Store) {
	g.Gauge("states", "States that clients keep by id.", func() float64 { n, _ := s.Stats(); return float64(n) })
	g.Gauge("states_bytes", "Bytes that they take.", func() float64 { _, n := s.Stats(); return float64(n) })
}
