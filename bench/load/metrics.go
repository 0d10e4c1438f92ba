package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// sample is what a server's /metrics said at a time.
type sample struct {
	Second     float64 `json:"s"` // since the start
	Memory     float64 `json:"resident_memory_bytes"`
	Heap       float64 `json:"go_heap_bytes"` // Go's, of which some may be garbage; the rest is the device's driver's
	Goroutines float64 `json:"goroutines"`
	Files      float64 `json:"open_files"`
	Running    float64 `json:"requests_running"` // the one for the metrics aside
	Waiting    float64 `json:"queue_requests"`
	Resident   float64 `json:"sequences_resident"`
	Parked     float64 `json:"sequences_parked"`
	Cache      float64 `json:"cache_ram_bytes"`
	Drawn      float64 `json:"drawn_tokens_total"`
	Prompt     float64 `json:"prompt_tokens_total"`
	Cached     float64 `json:"cached_tokens_total"`
}

// idle reports whether the server works on nothing.
func (s sample) idle() bool { return s.Running+s.Waiting+s.Resident+s.Parked == 0 }

// measure reads /metrics.
func (t *target) measure(ctx context.Context, began time.Time) (s sample, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url+"/metrics", nil)
	if err != nil {
		return s, err
	}
	t.sign(r)
	answer, err := t.http.Do(r)
	if err != nil {
		return s, err
	}
	defer func() { _ = answer.Body.Close() }() // read only
	if answer.StatusCode != http.StatusOK {
		return s, fmt.Errorf("metrics: status %d", answer.StatusCode)
	}
	sums := map[string]float64{}
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if x, err := strconv.ParseFloat(value, 64); ok && err == nil {
			name, _, _ = strings.Cut(name, "{")
			sums[name] += x
		}
	}
	s = sample{Second: time.Since(began).Seconds(), Memory: sums["process_resident_memory_bytes"],
		Heap: sums["go_memstats_heap_inuse_bytes"], Goroutines: sums["go_goroutines"],
		Files: sums["process_open_fds"], Running: sums["rwkv_requests_running"] - 1, Waiting: sums["rwkv_queue_requests"],
		Resident: sums["rwkv_sequences_resident"], Parked: sums["rwkv_sequences_parked"], Cache: sums["rwkv_cache_ram_bytes"],
		Drawn: sums["rwkv_drawn_tokens_total"], Prompt: sums["rwkv_prompt_tokens_total"], Cached: sums["rwkv_cached_tokens_total"]}
	if s.Goroutines == 0 || s.Running < 0 {
		return s, fmt.Errorf("metrics: want those of rwkv-gpu, got others")
	}
	return s, nil
}

// watch measures once a second until ctx is done, and returns what it got.
func (t *target) watch(ctx context.Context, began time.Time, failed func(error)) (list []sample) {
	for ctx.Err() == nil {
		s, err := t.measure(context.WithoutCancel(ctx), began)
		if err != nil {
			failed(err)
		} else {
			list = append(list, s)
		}
		pause(ctx, time.Second)
	}
	return list
}

// rest waits until the server works on nothing, for a while at most.
func (t *target) rest(ctx context.Context, began time.Time, most time.Duration) (s sample, took time.Duration, err error) {
	from := time.Now()
	for {
		s, err = t.measure(ctx, began)
		if took = time.Since(from); err != nil || s.idle() {
			return s, took, err
		}
		if took > most {
			return s, took, fmt.Errorf("want an idle server after %v, got %v requests, %v waiting, %v sequences, %v parked", most, s.Running, s.Waiting, s.Resident, s.Parked)
		}
		pause(ctx, 10*time.Millisecond)
	}
}
