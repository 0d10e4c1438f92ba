package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/engine"
	"github.com/rwkv-gpu/rwkv-gpu/engine/completion"
	"github.com/rwkv-gpu/rwkv-gpu/engine/sample"
	"github.com/rwkv-gpu/rwkv-gpu/engine/schedule"
	"github.com/rwkv-gpu/rwkv-gpu/engine/statecache"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
	"github.com/rwkv-gpu/rwkv-gpu/server/chat"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/keys"
	"github.com/rwkv-gpu/rwkv-gpu/server/local"
	"github.com/rwkv-gpu/rwkv-gpu/server/openai"
	"github.com/rwkv-gpu/rwkv-gpu/server/states"
)

const serveHelp = `Serve the model over HTTP: a chat in the browser at the address that is printed, and OpenAI's and Anthropic's protocols:

  rwkv-gpu serve --model MODEL
  curl http://127.0.0.1:8080/v1/chat/completions -d '{"messages":[{"role":"user","content":"Hello"}]}'

Only programs on this computer reach it, unless --listen names another address. With --api-keys or RWKV_API_KEY, requests
need a key; each key has texts and states of its own. Logs hold no text of anybody.

SIGTERM and Ctrl-C take no more requests and let the answers under way end within --drain.`

// serveFlags are the flags of serve.
type serveFlags struct {
	listen, keyFile      string
	sequences, queue     int
	ram, diskBytes       size
	states, statesPerKey size
	disk                 string
	names, hosts         []string
	files                string
	filesBytes, fileMost size
	filesPerKey          size
	template, think      string
	preset, origin       string
	cert, certKey        string
	body                 size
	timeout, drain, ping time.Duration
	most                 int
	cluster              clusterFlags
}

func (a *app) serveCommand() *cobra.Command {
	o := serveFlags{ram: 1 << 30, diskBytes: 10 << 30, body: 16 << 20, states: states.DefaultBytes, filesBytes: 10 << 30, fileMost: 512 << 20}
	c := &cobra.Command{Use: "serve", Short: "Serve the model over HTTP", Long: serveHelp, Args: noArgs}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`ADDRESS` to listen at; port 0 is any free one")
	f.StringVar(&o.keyFile, "api-keys", "", "`FILE` of keys, a line each: name key [concurrent=N] [per-minute=N]")
	f.IntVar(&o.sequences, "max-sequences", 16, "work on `N` requests at once; more of them take turns")
	f.IntVar(&o.queue, "queue", schedule.DefaultQueue, "let `N` more requests wait")
	f.Var(&o.ram, "cache-ram", "`BYTES` of memory for the states of texts that may come again, such as 4G; 0 for none")
	f.StringVar(&o.disk, "cache-disk", "", "`DIR` for such states, which outlive the server")
	f.Var(&o.diskBytes, "cache-disk-bytes", "`BYTES` of files in the folder of --cache-disk")
	f.Var(&o.states, "state-bytes", "`BYTES` of states that clients keep by id, in memory or in the folder of --cache-disk; 0 for none")
	f.Var(&o.statesPerKey, "state-bytes-per-key", "`BYTES` of these for each key (default: half of them, and all where no key is asked for)")
	f.StringVar(&o.files, "files", "", "`DIR` for files and batches of OpenAI's protocol, which outlive the server; without it there are none")
	f.Var(&o.filesBytes, "files-bytes", "`BYTES` of these files together")
	f.Var(&o.filesPerKey, "files-bytes-per-key", "`BYTES` of these for each key (default: half of them, and all where no key is asked for)")
	f.Var(&o.fileMost, "max-file", "take files of at most `BYTES`")
	f.StringArrayVar(&o.names, "model-name", nil, "`NAME` by which requests ask for the model; may be given several times; * is any (default: the file's)")
	f.StringVar(&o.template, "template", prompt.Auto, "`NAME` of the form of chats: "+strings.Join(dialectNames(), ", "))
	f.StringVar(&o.think, "think", string(prompt.ThinkOff), "`MODE` of thinking where a chat does not say: "+strings.Join(thinkNames(), ", "))
	f.StringVar(&o.preset, "preset", "", "`NAME` of the settings for drawing where a request does not say: "+strings.Join(presetNames(), ", ")+" (default: what fits the model)")
	f.IntVar(&o.most, "max-tokens", 4096, "draw at most `N` tokens for an answer")
	f.StringVar(&o.origin, "cors", "", "`ORIGIN` of pages of other sites that may use the server; * is any")
	f.StringArrayVar(&o.hosts, "allow-host", nil, "`NAME` of this computer besides localhost, for a server without keys behind a proxy; may be given several times; * is any")
	f.StringVar(&o.cert, "tls-cert", "", "certificate `FILE` (PEM), for HTTPS")
	f.StringVar(&o.certKey, "tls-key", "", "`FILE` of the certificate's key (PEM)")
	f.Var(&o.body, "max-body", "take requests of at most `BYTES`")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "end a request after `TIME`; 0 is never")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "give answers under way `TIME` to end when the server ends")
	f.DurationVar(&o.ping, "ping", 15*time.Second, "say in a stream that it is alive when nothing came for `TIME`; 0 is never")
	o.cluster.add(f)
	a.stateFlag(f)
	a.accuracyFlags(f)
	a.draftFlags(f)
	return a.command(c, func(ctx context.Context, _ []string) error { return a.serve(ctx, &o) })
}

// check finds what is wrong with the flags.
func (o *serveFlags) check() error {
	switch {
	case o.sequences < 1:
		return usagef("--max-sequences", "want 1 or more, got %d", o.sequences)
	case o.queue < 1:
		return usagef("--queue", "want 1 or more, got %d", o.queue)
	case o.most < 1:
		return usagef("--max-tokens", "want 1 or more, got %d", o.most)
	case o.fileMost < 1:
		return usagef("--max-file", "want 1 or more, got %d", o.fileMost)
	case o.filesBytes < 1:
		return usagef("--files-bytes", "want 1 or more, got %d", o.filesBytes)
	case o.body < 1:
		return usagef("--max-body", "want 1 or more, got %d", o.body)
	case (o.cert == "") != (o.certKey == ""):
		return usagef("--tls-cert", "want both --tls-cert and --tls-key, got one of them")
	}
	for name, d := range map[string]time.Duration{"--timeout": o.timeout, "--drain": o.drain, "--ping": o.ping} {
		if d < 0 {
			return usagef(name, "want 0 or more, got %v", d)
		}
	}
	_, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return usagef("--listen", "want an address and a port such as 127.0.0.1:8080, got %q", o.listen)
	}
	_, err = o.cluster.check()
	return err
}

// ring reads the keys that clients have to send.
func (o *serveFlags) ring() (*keys.Ring, error) {
	ring := new(keys.Ring)
	if o.keyFile != "" {
		f, err := os.Open(o.keyFile)
		if err != nil {
			return nil, blame(o.keyFile, err)
		}
		err = ring.Read(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, inputf(o.keyFile, "%w", err)
		}
		if !ring.Asked() {
			return nil, inputf(o.keyFile, "want at least one key, got none")
		}
	}
	if key := os.Getenv("RWKV_API_KEY"); key != "" {
		if err := ring.Add("default", key); err != nil {
			return nil, usagef("RWKV_API_KEY", "%w", err)
		}
	}
	return ring, nil
}

// protocol returns how conversations are held with a model.
func (o *serveFlags) protocol(m *load.Opened) (p chat.Options, err error) {
	choice := chosen(m)
	p = chat.Options{Dialect: choice.Dialect, Date: choice.Date, Most: o.most, Ping: o.ping, Write: 30 * time.Second}
	if o.template != prompt.Auto {
		if p.Dialect, err = prompt.ByName("--template", o.template); err != nil {
			return p, fieldUsage(err)
		}
	}
	if p.Think, err = prompt.ParseThink("--think", o.think); err != nil {
		return p, fieldUsage(err)
	}
	if o.preset == "" {
		return p, nil
	}
	preset, err := prompt.PresetByName("--preset", o.preset)
	if err != nil {
		return p, fieldUsage(err)
	}
	p.Preset = new(sample.Params)
	*p.Preset = chat.PresetParams(preset)
	return p, nil
}

// served is the object of serve --json.
type served struct {
	Listening string `json:"listening"`
	Model     string `json:"model"`
	ModelID   string `json:"model_id"`
	Device    string `json:"device"`
	Sequences int    `json:"max_sequences"`
}

func (a *app) serve(ctx context.Context, o *serveFlags) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	ring, err := o.ring()
	if err != nil {
		return err
	}
	l, err := o.listener()
	if err != nil {
		return err
	}
	defer func() {
		if closed := l.Close(); !errors.Is(closed, net.ErrClosed) { // as it is once it has served
			err = errors.Join(err, closed)
		}
	}()
	m, err := a.openModel()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	p, err := o.protocol(m)
	if err != nil {
		return err
	}
	model, err := a.localModel(ctx, m, o)
	if err != nil {
		return err
	}
	if p.Forms, err = grammars.New(model.Tokenizer(), m.Vocab); err == nil {
		p.States, err = a.keptStates(o, m, model, ring)
	}
	if err != nil {
		return errors.Join(err, model.Close(context.WithoutCancel(ctx)))
	}
	return errors.Join(a.serveModel(ctx, o, l, ring, m, model, p), model.Close(context.WithoutCancel(ctx)))
}

// localModel starts the model on the device.
func (a *app) localModel(ctx context.Context, m *load.Opened, o *serveFlags) (*local.Model, error) {
	tok, err := a.openTokenizer(m)
	if err != nil {
		return nil, err
	}
	id, err := m.ID()
	if err != nil {
		return nil, err
	}
	small, err := a.openDraft(m, tok)
	if err != nil {
		return nil, err
	}
	d, err := a.openDevice(a.common.device)
	if err != nil {
		return nil, errors.Join(err, closeModel(small))
	}
	progress, clearBar := a.progress(ctx)
	e, err := engine.New(m.Model, d, engine.Options{Slots: a.slots(o.sequences), Keep: 256, Exact: a.common.exact, Half: a.accuracy().Half, Progress: progress})
	clearBar()
	if err != nil {
		return nil, errors.Join(err, d.Close(), closeModel(small))
	}
	if err := e.Prepare(ctx, e.Chunk(), true); err != nil {
		return nil, errors.Join(err, e.Close(), d.Close(), closeModel(small))
	}
	ahead, err := a.startDraft(ctx, small, e, d)
	if err != nil {
		return nil, errors.Join(err, e.Close(), d.Close(), closeModel(small))
	}
	names := o.names
	if len(names) == 0 || names[0] == "*" { // which is no name to tell
		names = append([]string{modelName(m)}, names...)
	}
	model, err := local.New(e, tok, local.Options{Names: names, ID: id, Created: created(a.common.model), First: m.Begin.First(nil),
		Completion: completion.Options{Schedule: schedule.Options{Queue: o.queue, Draft: ahead.Drafter}, Cache: o.cache()}})
	if err != nil {
		if o.disk != "" {
			err = blame(o.disk, err)
		}
		return nil, errors.Join(err, ahead.Close(), e.Close(), d.Close(), closeModel(small))
	}
	model.Own(ahead.Close, e.Close, d.Close, func() error { return closeModel(small) })
	return model, nil
}

// cache returns what is kept of texts.
func (o *serveFlags) cache() statecache.Options {
	c := statecache.Options{Host: int64(o.ram), Dir: o.disk}
	if o.disk != "" {
		c.Disk = int64(o.diskBytes)
	}
	return c
}

// log returns where the server says what it does.
func (a *app) log() *slog.Logger {
	level := slog.LevelInfo
	if a.common.quiet {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
}

// serveModel answers requests until ctx is done.
func (a *app) serveModel(ctx context.Context, o *serveFlags, l net.Listener, ring *keys.Ring, m *load.Opened, model *local.Model, p chat.Options) (err error) {
	together, err := a.cluster(ctx, o, model, p.Forms)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, together.Close(context.WithoutCancel(ctx))) }() // before the model is closed
	front := api.Model(model)
	if together != nil {
		front, p.Shared = together, together
	}
	defer context.AfterFunc(ctx, together.leave)()
	metrics := server.NewMetrics()
	model.Measure(metrics)
	together.measure(metrics)
	measureStates(metrics, p.States)
	talk := openai.New(front, p).Routes()
	jobs, err := a.batches(o, m, model, &p, ring, talk, metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, jobs.Close()) }() // before the model is closed
	routes, err := routesOf(front, p, ring.Asked(), talk, jobs.Routes())
	if err != nil {
		return err
	}
	s, err := server.New(server.Options{Routes: routes, Fail: openai.Fail, Health: model.Health, Cluster: together.standing, Keys: ring,
		Origin: o.origin, Local: loopback(l), Hosts: lower(o.hosts), MaxBody: int64(o.body), Timeout: o.timeout, Metrics: metrics,
		Log: a.log()})
	if err != nil {
		return err
	}
	if !ring.Asked() && !loopback(l) {
		a.notice("anybody who reaches %s may use this server: --api-keys asks for keys", l.Addr())
	}
	morePatience.Store(int64(o.drain))
	jobs.Start(ctx)
	i := model.Info()
	a.notice("%s on %s, chats as %s", i.Name, model.Device(), p.Dialect.Name)
	_, _ = fmt.Fprintln(a.stderr, "listening on "+o.url(l)) // a lost line is no reason to stop
	a.notice("for a chat, open %s in a browser; Ctrl-C ends the server", o.page(l))
	if a.common.json {
		if err := a.writeJSON(served{o.url(l), i.Name, i.Fingerprint, model.Device(), i.Sequences}); err != nil {
			return err
		}
	}
	if err := s.Serve(ctx, l, o.drain); err != nil {
		return err
	}
	if errors.Is(context.Cause(ctx), errTerminated) {
		return nil
	}
	return context.Canceled
}

// dialectNames, thinkNames and presetNames list what flags take.
func dialectNames() (list []string) {
	for _, d := range prompt.Dialects() {
		list = append(list, d.Name)
	}
	return append([]string{prompt.Auto}, list...)
}

func thinkNames() (list []string) {
	for _, t := range prompt.Thinks() {
		list = append(list, string(t))
	}
	return list
}

func presetNames() (list []string) {
	for _, p := range prompt.Presets() {
		list = append(list, p.Name)
	}
	return list
}

func lower(list []string) (out []string) {
	for _, s := range list {
		out = append(out, strings.ToLower(s))
	}
	return out
}

// modelName returns the name of a model's file without its folder and ending.
func modelName(m *load.Opened) string {
	name := filepath.Base(m.File.Path)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

// created returns when a model's file was written, and now for a model that is no file.
func created(path string) time.Time {
	if i, err := os.Stat(path); err == nil {
		return i.ModTime()
	}
	return time.Now()
}
