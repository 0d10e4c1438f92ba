package server_test

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/device"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/anthropic"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/local"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
)

// The same with the embedded model: its slots are free afterwards, no state is parked, and the cache keeps to its budget.
func TestNoLeaksOfModel(t *testing.T) {
	const slots, ram = 3, 8 << 20
	opened, err := load.Open(load.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := opened.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	d, err := device.Open("cpu", nil)
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(opened.Model, d, engine.Options{Slots: slots, Keep: 64})
	if err != nil {
		t.Fatal(err)
	}
	m, err := local.New(e, tok, local.Options{Names: []string{"demo"}, ID: "0123456789abcdef",
		Completion: completion.Options{Schedule: schedule.Options{Queue: 64}, Cache: statecache.Options{Host: ram}}})
	if err != nil {
		t.Fatal(err)
	}
	m.Own(e.Close, d.Close, opened.Close)
	defer func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	seen := figures{}
	o := server.Options{Keys: &keys.Ring{}, MaxBody: 1 << 16, Timeout: time.Minute, Log: slog.New(slog.DiscardHandler), Metrics: server.NewMetrics()}
	m.Measure(o.Metrics)
	m.Measure(seen)
	if err := o.Keys.Read(strings.NewReader("ann key-a\nbob key-b concurrent=6\n")); err != nil {
		t.Fatal(err)
	}
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	p := chat.Options{Dialect: dialect, Most: 1000, Ping: time.Minute, Write: time.Minute}
	if p.Forms, err = grammars.New(tok, m.Info().Vocab); err != nil {
		t.Fatal(err)
	}
	o.Routes, o.Fail, o.Health = slices.Concat(openai.New(m, p).Routes(), anthropic.New(m, p).Routes()), openai.Fail, m.Health
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s)
	defer web.Close()
	const reused = 8 << 20 // bytes of states that slots and parked requests have, whenever they are first used
	storm(t, web.URL, manyRequests(t, 300), reused, func() {
		for _, name := range []string{"queue_requests", "sequences_resident", "sequences_parked"} {
			if x := seen[name](); x != 0 {
				t.Errorf("%s: %v", name, x)
			}
		}
		if bytes, states := seen["cache_ram_bytes"](), seen["cache_states"](); bytes > ram || states == 0 {
			t.Errorf("%v states of %v bytes, want some of at most %d bytes", states, bytes, ram)
		}
		if n := e.Stats().InUse; n != 0 {
			t.Errorf("%d of %d slots are in use", n, slots)
		}
	})
}

// figures are a model's figures by their names.
type figures map[string]func() float64

func (f figures) Gauge(name, _ string, value func() float64)   { f[name] = value }
func (f figures) Counter(name, _ string, value func() float64) { f[name] = value }
