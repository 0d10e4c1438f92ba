package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// options are the flags.
type options struct {
	mix
	url, key, out string
	clients       int
	duration      time.Duration
	end           time.Duration
	overload      int
	seed          uint64
}

// Exit statuses.
const (
	done   = 0
	failed = 1
	usage  = 2
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := options{mix: mix{turns: 6, goOn: 0.7, whole: 0.3}}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: load [flags] -- SERVER ARGS..., or load --url URL [flags]") // as flag itself writes
		f.PrintDefaults()
	}
	f.StringVar(&o.url, "url", "", "`URL` of a server that runs; without it, load starts the one whose command line follows")
	f.StringVar(&o.key, "key", "", "`KEY` that the server wants")
	f.StringVar(&o.out, "json", "", "`FILE` for the report as JSON, besides the table")
	f.IntVar(&o.clients, "clients", 32, "`N` clients at once")
	f.DurationVar(&o.duration, "duration", 20*time.Second, "ask for `TIME`")
	f.DurationVar(&o.end, "end", 2*time.Minute, "give the last answers `TIME` to come")
	f.IntVar(&o.tokens, "tokens", 64, "ask for answers of 1 to `N` tokens")
	f.Float64Var(&o.leave, "leave", 0.15, "leave this `SHARE` of answers before their end")
	f.IntVar(&o.overload, "overload", 0, "then ask for `N` answers at once, more than the server takes")
	f.Uint64Var(&o.seed, "seed", 1, "choose requests by `SEED`")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return done
		}
		return usage
	}
	err := o.check(f.Args())
	if err == nil {
		var ok bool
		if ok, err = o.all(ctx, f.Args(), stdout); err == nil && ok {
			return done
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "load:", err) // there is nowhere else to say it
		var wrong *usageError
		if errors.As(err, &wrong) {
			return usage
		}
	}
	return failed
}

// usageError is the error of a flag.
type usageError struct{ flag, want, got string }

func (e *usageError) Error() string { return e.flag + ": want " + e.want + ", got " + e.got }

func (o *options) check(command []string) error {
	for _, c := range []struct {
		bad             bool
		flag, want, got string
	}{
		{(o.url == "") == (len(command) == 0), "--url", "an address, or the command line of a server behind --, and not both", fmt.Sprintf("%q and %q", o.url, command)},
		{o.clients < 1, "--clients", "1 or more", fmt.Sprint(o.clients)},
		{o.tokens < 1, "--tokens", "1 or more", fmt.Sprint(o.tokens)},
		{o.overload < 0, "--overload", "0 or more", fmt.Sprint(o.overload)},
		{o.duration <= 0, "--duration", "more than 0", o.duration.String()},
		{o.end <= 0, "--end", "more than 0", o.end.String()},
		{!(o.leave >= 0 && o.leave <= 1), "--leave", "a number from 0 to 1", fmt.Sprint(o.leave)},
	} {
		if c.bad {
			return &usageError{c.flag, c.want, c.got}
		}
	}
	return nil
}

// all measures a server, and reports whether it has no fault.
func (o *options) all(ctx context.Context, command []string, stdout io.Writer) (ok bool, err error) {
	url, name := o.url, o.url
	var server *child
	if url == "" {
		if server, err = start(command); err != nil {
			return false, err
		}
		url, name = server.url, server.model+" on "+server.device
	}
	r := o.measure(ctx, newTarget(url, o.key, max(o.clients, o.overload)), name)
	if server != nil {
		r.fault(server.end())
	}
	if o.out != "" {
		text, err := json.MarshalIndent(r, "", " ")
		if err == nil {
			err = os.WriteFile(o.out, append(text, '\n'), 0o666)
		}
		if err != nil {
			return false, err
		}
	}
	return len(r.Faults) == 0, r.print(stdout)
}

// measure has clients ask for a while, then more of them at once than the server takes.
func (o *options) measure(ctx context.Context, t *target, name string) *report {
	began := time.Now()
	r := newReport(name, o.clients, began)
	stop, cancel := context.WithTimeout(ctx, o.duration+o.end)
	defer cancel()
	asking, quiet := context.WithTimeout(stop, o.duration)
	defer quiet()
	var clients, watcher sync.WaitGroup
	watcher.Add(1)
	go func() { // until the last answer
		defer watcher.Done()
		r.Samples = t.watch(asking, began, r.metricsFailed)
	}()
	for i := range o.clients {
		c := newClient(o.mix, o.seed, i)
		clients.Add(1)
		go func() {
			defer clients.Done()
			c.run(asking, stop, t, r.tell)
		}()
	}
	clients.Wait()
	watcher.Wait()
	r.Seconds = time.Since(began).Seconds()
	if err := context.Cause(stop); err != nil {
		r.fault(fmt.Errorf("answers were not whole %v after the last request: %w", o.end, err))
	}
	after, took, err := t.rest(ctx, began, o.end)
	r.Idle = took.Seconds()
	r.fault(err)
	r.Samples = append(r.Samples, after)
	r.sum(after)
	if o.overload > 0 && ctx.Err() == nil {
		o.tooMuch(ctx, t, r)
	}
	return r
}

// tooMuch asks for many answers at once. Whoever is refused asks again when the server says.
func (o *options) tooMuch(ctx context.Context, t *target, r *report) {
	r.Overload = &overload{Requests: o.overload}
	began := time.Now()
	stop, cancel := context.WithTimeout(ctx, o.duration+o.end)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range o.overload {
		a := newClient(o.mix, o.seed+1, i).next()
		a.leave = false
		all.Add(1)
		go func() {
			defer all.Done()
			got, refused := t.insist(stop, a)
			mu.Lock()
			defer mu.Unlock()
			r.Overload.Refused += refused
			r.Overload.First.add(got.first)
			if got.err != nil {
				r.fault(fmt.Errorf("one of %d requests at once: %w", o.overload, got.err))
			}
		}()
	}
	all.Wait()
	r.Overload.Seconds = time.Since(began).Seconds()
	r.Overload.First.sum()
	if r.Overload.Refused == 0 {
		r.fault(fmt.Errorf("none of %d requests at once was refused", o.overload))
	}
	_, took, err := t.rest(ctx, r.began, o.end)
	r.Idle = max(r.Idle, took.Seconds())
	r.fault(err)
}

// insist sends a request until the server takes it, and returns how often it was refused before.
func (t *target) insist(ctx context.Context, a *ask) (o *outcome, refused int) {
	for {
		if o = t.do(ctx, a); o.retry == 0 || ctx.Err() != nil {
			return o, refused
		}
		refused++
		pause(ctx, o.retry)
	}
}
