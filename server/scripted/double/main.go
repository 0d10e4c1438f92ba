// Command double serves a scripted model over the real HTTP layer, so that tests of clients know what is answered:
//
//	double -key KEY
//
// It listens at a free port of this computer, and says where by a line of JSON. SIGTERM ends it. It fails then if an
// answer was not closed.
//
// # Answers
//
// The last message of the conversation says what the answer is:
//
//   - write "TEXT" writes the text, a string of JSON, as a model would: with marks of thoughts and calls.
//   - hang "TEXT" writes the text, and then nothing more until the client leaves.
//   - busy N NAME is refused N times, since the queue is full, and then answered.
//   - show writes the whole prompt, as a string of JSON.
//
// Other messages of a user are answered with a call of a tool, if there are tools. The call's arguments are made of the
// message: texts are the whole message, and numbers are the first number in it. If there are no tools, and the answer is
// to have a form, it is an object with a member for each word that stands in single quotes in the message, or else a
// short text of the form. In other cases, and to what a tool returned, the answer repeats the message.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/anthropic"
	"github.com/rwkv-gpu/rwkv-gpu/server/batches"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/openapi"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
	"github.com/rwkv-gpu/rwkv-gpu/server/web"
)

const (
	name     = "double"
	alias    = "double-alias" // another name of the model
	most     = 4096           // tokens of an answer
	drainFor = 10 * time.Second
)

func main() {
	key := flag.String("key", "", "the `KEY` that clients send; none if it is empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *key, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "double:", err)
		os.Exit(1) //nolint:gocritic // the process ends, and its signals with it
	}
}

// run serves until ctx is done.
func run(ctx context.Context, key string, out, log io.Writer) error {
	m, s, err := newServer(key, log)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ready := map[string]string{"listening": "http://" + l.Addr().String(), "model": name}
	if err := json.NewEncoder(out).Encode(ready); err != nil {
		return err
	}
	if err := s.Serve(ctx, l, drainFor); err != nil {
		return err
	}
	if n := m.Open(); n != 0 {
		return fmt.Errorf("want every answer closed, got %d open", n)
	}
	return nil
}

// newServer returns the model and a server of it, without a listener.
func newServer(key string, log io.Writer) (*model, *server.Server, error) {
	tok, err := load.Vocabulary(load.Options{})
	if err != nil {
		return nil, nil, err
	}
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		return nil, nil, err
	}
	m := newModel(tok)
	p := chat.Options{Dialect: dialect, Most: most, Ping: time.Second, Write: time.Minute}
	if p.Forms, err = grammars.New(tok, m.Info().Vocab); err != nil {
		return nil, nil, err
	}
	ring := new(keys.Ring)
	if key != "" {
		if err := ring.Add("test", key); err != nil {
			return nil, nil, err
		}
	}
	description, err := openapi.Routes(openapi.Options{Keys: ring.Asked(), Vocab: m.Info().Vocab}, openai.Fail)
	if err != nil {
		return nil, nil, err
	}
	page, err := web.Routes(openai.Fail)
	if err != nil {
		return nil, nil, err
	}
	none, err := batches.Open(batches.Options{Fail: openai.Fail}, nil)
	if err != nil {
		return nil, nil, err
	}
	p.States = states.New(m, states.Options{})
	s, err := server.New(server.Options{
		Routes: slices.Concat(page, openai.New(m, p).Routes(), none.Routes(), anthropic.New(m, p).Routes(), description),
		Fail:   openai.Fail, Health: m.Health, Keys: ring, Local: true, MaxBody: 1 << 20, Timeout: 10 * time.Minute,
		Log: slog.New(slog.NewTextHandler(log, nil)), Metrics: server.NewMetrics()})
	return m, s, err
}
