package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/wire"
)

// Metrics counts what a server does, for Prometheus.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	running               prometheus.Gauge
	requests              *prometheus.CounterVec
	seconds               *prometheus.HistogramVec
	prompt, cached, drawn prometheus.Counter
	first, token          prometheus.Histogram
}

// NewMetrics makes counters that stand at 0.
func NewMetrics() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "rwkv_" + name, Help: help})
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, from float64, n int) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "rwkv_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(from, 2, n)})
		m.registry.MustRegister(h)
		return h
	}
	m.running = prometheus.NewGauge(prometheus.GaugeOpts{Name: "rwkv_requests_running", Help: "Requests that have come and are not answered."})
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rwkv_requests_total", Help: "Requests answered, by route and status."},
		[]string{"route", "status"})
	m.seconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "rwkv_request_seconds", Help: "From a request's head to the end of its answer.",
		Buckets: prometheus.ExponentialBuckets(0.005, 2, 16)}, []string{"route"})
	m.registry.MustRegister(m.running, m.requests, m.seconds, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.prompt = counter("prompt_tokens_total", "Tokens of prompts, without those that kept states had read. A prompt of several answers counts once.")
	m.cached = counter("cached_tokens_total", "Tokens of prompts that were not read, since a state was kept after them.")
	m.drawn = counter("drawn_tokens_total", "Tokens of answers.")
	m.first = histogram("first_token_seconds", "From a request's arrival to the first token of its answer.", 0.001, 18)
	m.token = histogram("token_seconds", "Mean time between the tokens of an answer.", 0.0005, 14)
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	return m
}

// Gauge adds a figure that is asked for whenever the metrics are read, as rwkv_NAME.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rwkv_" + name, Help: help}, value))
}

// Counter is Gauge for a figure that only grows.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "rwkv_" + name, Help: help}, value))
}

// write answers GET /metrics.
func (m *Metrics) write(w http.ResponseWriter, c *api.Call) *wire.Error {
	m.handler.ServeHTTP(w, c.Request)
	return nil
}

func (m *Metrics) begin() { m.running.Inc() }

func (m *Metrics) end(route string, status int, took time.Duration, results []api.Result) {
	m.running.Dec()
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
	for _, r := range results {
		m.Answered(r)
		if r.Drawn > 0 {
			m.first.Observe(r.Reading.Seconds())
		}
		if r.Drawn > 1 {
			m.token.Observe(r.Drawing.Seconds() / float64(r.Drawn-1))
		}
	}
}

// Answered counts the tokens of an answer. Those of batches come here by themselves: nobody waits for them, so they say
// nothing of how long answers take.
func (m *Metrics) Answered(r api.Result) {
	m.prompt.Add(float64(max(r.Prompt-r.Before, 0))) // what a state had read, its file says, and so a client
	m.cached.Add(float64(max(r.Cached-r.Before, 0)))
	m.drawn.Add(float64(max(r.Drawn, 0)))
}
