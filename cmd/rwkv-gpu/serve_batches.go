package main

import (
	"fmt"
	"log/slog"

	"github.com/rwkv-gpu/rwkv-gpu/bulk"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/direct"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/local"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/uploads"
)

// batches opens the folder of files and batches, whose requests the routes of OpenAI's protocol answer. Without a folder
// there are none.
func (a *app) batches(o *serveFlags, m *load.Opened, model *local.Model, p *chat.Options, ring *keys.Ring, talk []api.Route,
	metrics *server.Metrics) (*batches.Service, error) {
	log := a.log()
	w, err := direct.New(talk, direct.Options{Done: metrics.Answered, Fail: func(id string, cause error) {
		log.Error("request of a batch", slog.String("id", id), slog.String("cause", cause.Error()))
	}})
	if err != nil {
		return nil, err
	}
	settings, err := a.settings(m, &batchFlags{serve: *o}, p)
	if err != nil {
		return nil, err
	}
	limits := uploads.Options{Bytes: int64(o.filesBytes), PerUser: int64(o.filesPerKey), Most: int64(o.fileMost)}
	if limits.PerUser == 0 && ring.Asked() {
		limits.PerUser = limits.Bytes / 2
	}
	sequences := int64(model.Info().Sequences)
	s, err := batches.Open(batches.Options{Dir: o.files, Uploads: limits, Worker: w, URLs: direct.URLs(), Line: int64(o.body), Settings: settings,
		Budget: bulk.NewBudget(min(2*sequences, int64(o.queue)), 4096*sequences), Log: log, Fail: openai.Fail},
		func(path string, err error) { a.notice("left alone: %s: %v", path, err) })
	if err != nil {
		return nil, blame(o.files, fmt.Errorf("--files: %w", err))
	}
	metrics.Gauge("batches", "Batches that are not over.", func() float64 { n, _, _ := s.Stats(); return float64(n) })
	metrics.Gauge("files", "Files of clients and batches.", func() float64 { _, n, _ := s.Stats(); return float64(n) })
	metrics.Gauge("files_bytes", "Bytes that they take.", func() float64 { _, _, n := s.Stats(); return float64(n) })
	return s, nil
}
