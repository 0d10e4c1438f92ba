//go:build view

package view

import (
	"context"
	"image"
	"runtime"
	"testing"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/view/player"
)

// BenchmarkWindow measures what the window costs: pairs of the same text with and without pictures, one after the other.
// What a window makes once, such as its kernels, counts too. slower is the growth of the time for a token, in percent; pictures is how many are drawn a second.
func BenchmarkWindow(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const tokens = 120
	var with, without time.Duration
	pictures := 0
	o := open(b, 1400, 800)
	defer o.close(b)
	options := o.options(b, tokens)
	for range b.N {
		began := time.Now()
		p, err := player.New(o.e, o.tok, options.Player, nil)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		for !p.Now().Ended {
			time.Sleep(100 * time.Microsecond)
		}
		without += time.Since(began)
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		var took time.Duration // until the text ended, as without pictures
		options.each = func(s *show) {
			if pictures++; took == 0 && s.p.Now().Ended {
				took = time.Since(began)
			}
		}
		options.Take = func(*image.RGBA) error { with += took; return nil }
		if err := Show(context.Background(), o.w, o.e, o.tok, options); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100*(float64(with)/float64(without)-1), "%slower")
	b.ReportMetric(float64(pictures)/with.Seconds(), "pictures/s")
	b.ReportMetric(float64(tokens*b.N)/without.Seconds(), "tokens/s")
}
