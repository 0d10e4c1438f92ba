package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Exit statuses.
const (
	done   = 0
	failed = 1
	usage  = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// options are the flags.
type options struct {
	workload
	goal                   goal
	costs, bench           string
	replicas               string
	urls, key, out, replay string
	duration               time.Duration
	seed                   uint64
	first, token, think    time.Duration
	prompt, answer         string
}

// usageError is the error of a flag.
type usageError struct{ flag, want, got string }

func (e *usageError) Error() string { return e.flag + ": want " + e.want + ", got " + e.got }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	f := flag.NewFlagSet("sizing", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.costs, "costs", "", "`FILE` of service times (JSON); without it those of an example, which docs/cluster-operations.md explains")
	f.StringVar(&o.bench, "bench", "", "`FILE` of 'rwkv-gpu bench --json --pp 16,64,256 --batch 1,2,4,8,16' for the times of steps and passes")
	f.StringVar(&o.replicas, "replicas", "1,2,3,10,30,100,300,1000", "`NUMBERS` of replicas")
	f.DurationVar(&o.first, "goal", 2*time.Second, "95 of 100 first tokens come within `TIME`")
	f.DurationVar(&o.token, "token-goal", 250*time.Millisecond, "95 of 100 answers take at most `TIME` from token to token")
	f.Float64Var(&o.Rate, "rate", 1, "`N` new sessions a second, for --measure")
	f.Float64Var(&o.Turns, "turns", 4, "`N` turns of a session, on average")
	f.DurationVar(&o.think, "think", 20*time.Second, "`TIME` from an answer to the next message, on average")
	f.StringVar(&o.prompt, "prompt", "20-200", "`TOKENS` of a message, from a number to another")
	f.StringVar(&o.answer, "answer", "50-450", "`TOKENS` of an answer, the same")
	f.StringVar(&o.urls, "measure", "", "send sessions to the servers at `URLS` instead, separated by commas")
	f.StringVar(&o.key, "key", "", "`KEY` that these servers want")
	f.DurationVar(&o.duration, "duration", 20*time.Second, "begin sessions for `TIME`")
	f.Uint64Var(&o.seed, "seed", 1, "choose them by `SEED`")
	f.StringVar(&o.out, "trace", "", "write what came to `FILE`")
	f.StringVar(&o.replay, "replay", "", "play the trace in `FILE`, and compare")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return done
		}
		return usage
	}
	err := o.do(ctx, f.Args(), stdout)
	if err == nil {
		return done
	}
	_, _ = fmt.Fprintln(stderr, "sizing:", err) // there is nowhere else to say it
	var wrong *usageError
	if errors.As(err, &wrong) {
		return usage
	}
	return failed
}

// example are the costs of the page on sizes.
//
//go:embed example.json
var example []byte

// check reads the texts of flags.
func (o *options) check(rest []string) (err error) {
	for _, c := range []struct {
		bad             bool
		flag, want, got string
	}{
		{len(rest) > 0, "arguments", "none", strings.Join(rest, " ")},
		{!(o.Rate > 0), "--rate", "more than 0", fmt.Sprint(o.Rate)},
		{!(o.Turns >= 1), "--turns", "1 or more", fmt.Sprint(o.Turns)},
		{o.first <= 0, "--goal", "more than 0", o.first.String()},
		{o.token <= 0, "--token-goal", "more than 0", o.token.String()},
		{o.think < 0, "--think", "0 or more", o.think.String()},
		{o.duration <= 0, "--duration", "more than 0", o.duration.String()},
	} {
		if c.bad {
			return &usageError{c.flag, c.want, c.got}
		}
	}
	o.goal, o.Think = goal{o.first.Seconds(), o.token.Seconds()}, o.think.Seconds()
	if o.Prompt, err = span("--prompt", o.prompt); err == nil {
		o.Answer, err = span("--answer", o.answer)
	}
	return err
}

// span reads the first and the last of some numbers, such as 20-200.
func span(flag, s string) (of [2]int, err error) {
	from, to, two := strings.Cut(s, "-")
	if !two {
		to = from
	}
	if of[0], err = strconv.Atoi(from); err == nil {
		of[1], err = strconv.Atoi(to)
	}
	if err != nil || of[0] < 1 || of[1] < of[0] {
		return of, &usageError{flag, "a number, or a first and a last one such as 20-200", strconv.Quote(s)}
	}
	return of, nil
}

func (o *options) do(ctx context.Context, rest []string, stdout io.Writer) error {
	if err := o.check(rest); err != nil {
		return err
	}
	if o.urls != "" {
		return o.send(ctx, stdout)
	}
	c, err := o.serviceTimes()
	if err != nil {
		return err
	}
	if o.replay != "" {
		var t trace
		if err := readJSON(o.replay, &t); err != nil {
			return err
		}
		return compare(stdout, t.measured(), t.simulated(c))
	}
	var numbers []int
	for _, s := range strings.Split(o.replicas, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return &usageError{"--replicas", "numbers of at least 1, separated by commas", strconv.Quote(o.replicas)}
		}
		numbers = append(numbers, n)
	}
	return o.table(stdout, c, numbers, o.goal)
}

// serviceTimes returns the costs that the flags name.
func (o *options) serviceTimes() (c costs, err error) {
	if o.costs != "" {
		err = readJSON(o.costs, &c)
	} else {
		err = json.Unmarshal(example, &c)
	}
	if err == nil && o.bench != "" {
		err = c.benched(o.bench)
	}
	if err == nil {
		err = c.check()
	}
	return c, err
}

// send sends sessions to servers.
func (o *options) send(ctx context.Context, stdout io.Writer) error {
	t := &target{strings.Split(o.urls, ","), o.key, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}}}
	got := t.measure(ctx, o.sessions(o.duration.Seconds(), o.seed))
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.out != "" {
		data, err := json.Marshal(got)
		if err == nil {
			err = os.WriteFile(o.out, append(data, '\n'), 0o666)
		}
		if err != nil {
			return err
		}
	}
	f, lost := got.measured(), 0
	for _, s := range got.Sessions {
		for _, one := range s.Turns {
			if one.Lost {
				lost++
			}
		}
	}
	_, err := fmt.Fprintf(stdout, "%d turns of %d sessions, %d without a whole answer: %.4g tokens/s, mean %.4g s to the first token, %.4g s to the last; stood still for %.2g s\n",
		f.Turns, len(got.Sessions), lost, f.Speed, f.First, f.Took, got.Stood)
	return err
}
