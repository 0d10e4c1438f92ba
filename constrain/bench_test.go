//go:build linux

package constrain

import (
	"bytes"
	"encoding/json"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rwkv-gpu/rwkv-gpu/constrain/jsonschema"
	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// threadTime is the processor time of this thread: what others do on the machine does not count.
func threadTime(b *testing.B) time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		b.Fatal(err)
	}
	return time.Duration(now.Nano())
}

// BenchmarkMaskBench compiles MaskBench's schemas and makes the masks along their valid instances, with the World vocabulary, every
// schema from nothing: no state and no mask is there before. The figures are quantiles in microseconds of processor time.
func BenchmarkMaskBench(b *testing.B) {
	data, err := os.ReadFile(reference.Shared(b, "json-schema", "maskbench-small.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	v := world(b)
	tok, err := tokenizer.Open(reference.Shared(b, "vocab", "rwkv_vocab_v20230424.txt"))
	if err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for b.Loop() {
		var masks, compiles []time.Duration
		for line := range bytes.Lines(data) {
			var c struct {
				Schema json.RawMessage
				Tests  []struct {
					Valid bool
					Data  json.RawMessage
				}
			}
			if err := json.Unmarshal(line, &c); err != nil {
				b.Fatal(err)
			}
			start := threadTime(b)
			g, err := JSONSchema(c.Schema, jsonschema.Options{Blanks: 16})
			if err != nil {
				continue
			}
			first := New(g, v)
			compiles = append(compiles, threadTime(b)-start)
			for _, test := range c.Tests {
				if !test.Valid {
					continue
				}
				list, err := tok.AppendEncode(nil, test.Data)
				if err != nil {
					b.Fatal(err)
				}
				c := first.Clone()
				for _, id := range list {
					start := threadTime(b)
					if _, err := c.Mask(); err != nil {
						b.Fatal(err)
					}
					_, err := c.Accept(id)
					masks = append(masks, threadTime(b)-start)
					if err != nil {
						break // members in another order
					}
				}
			}
		}
		report := func(name string, list []time.Duration, q float64) {
			slices.Sort(list)
			b.ReportMetric(float64(list[int(q*float64(len(list)-1))].Nanoseconds())/1000, name)
		}
		report("mask-p50-µs", masks, 0.5)
		report("mask-p99-µs", masks, 0.99)
		report("mask-max-µs", masks, 1)
		report("compile-p50-µs", compiles, 0.5)
		report("compile-p95-µs", compiles, 0.95)
		b.ReportMetric(float64(len(masks)), "masks")
	}
}
