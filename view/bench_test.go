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
// Time counts from the first picture on, so what a window makes once, such as its kernels, does not count. slower is the
// growth of the time for a token, in percent; pictures is how many are drawn a second.
func BenchmarkWindow(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const tokens = 600
	var with, without played
	pictures := 0
	o := open(b, 1400, 800)
	defer o.close(b)
	options := o.options(b, tokens)
	for range b.N {
		p, err := player.New(o.e, o.tok, options.Player, nil)
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		for p.Now().Drawn == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		without.add(p)
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		ended := make(chan struct{})
		first := true
		options.each = func(s *show) {
			if pictures++; first {
				first = false
				go func() {
					defer close(ended)
					with.add(s.p)
				}()
			}
		}
		options.Take = func(*image.RGBA) error { <-ended; return nil }
		if err := Show(context.Background(), o.w, o.e, o.tok, options); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(100*(with.perToken()/without.perToken()-1), "%slower")
	b.ReportMetric(float64(pictures)/with.took.Seconds(), "pictures/s")
	b.ReportMetric(1/without.perToken(), "tokens/s")
}

// played is how long some tokens took.
type played struct {
	tokens int
	took   time.Duration
}

// add waits until a text ends, and adds its tokens from now on.
func (p *played) add(of *player.Player) {
	from, began := of.Now().Drawn, time.Now()
	for !of.Now().Ended {
		time.Sleep(100 * time.Microsecond)
	}
	p.tokens, p.took = p.tokens+of.Now().Drawn-from, p.took+time.Since(began)
}

// perToken returns seconds.
func (p *played) perToken() float64 { return p.took.Seconds() / float64(p.tokens) }
