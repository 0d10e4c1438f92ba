package local

// Gauges is where figures are told that are asked for whenever somebody looks.
type Gauges interface {
	Gauge(name, help string, value func() float64)
	Counter(name, help string, value func() float64)
}

// Measure has the model's figures told.
func (m *Model) Measure(g Gauges) {
	stats := m.service.Stats
	g.Gauge("queue_requests", "Requests that wait for their first turn.", func() float64 { return float64(stats().Schedule.Waiting) })
	g.Gauge("sequences_resident", "Sequences whose state is on the device.", func() float64 { return float64(stats().Schedule.Resident) })
	g.Gauge("sequences_parked", "Sequences whose state waits in memory for a turn.", func() float64 { return float64(stats().Schedule.Parked) })
	g.Counter("fed_tokens_total", "Tokens that the model has read at once: of prompts, and what forms of answers leave no choice about.", func() float64 { return float64(stats().Schedule.Fed) })
	g.Counter("device_reopened_total", "Times that the device was lost and opened anew.", func() float64 { return float64(stats().Schedule.Reopened) })
	g.Gauge("cache_states", "States that are kept of texts.", func() float64 { return float64(stats().Cache.Checkpoints) })
	g.Gauge("cache_ram_bytes", "Memory that they take.", func() float64 { return float64(stats().Cache.Host) })
	g.Gauge("cache_disk_bytes", "Files that they take.", func() float64 { return float64(stats().Cache.Disk) })
	g.Counter("cache_hits_total", "Prompts of which a beginning was kept.", func() float64 { return float64(stats().Cache.Hits) })
	g.Counter("cache_misses_total", "Prompts of which nothing was kept.", func() float64 { return float64(stats().Cache.Misses) })
}
