package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/hub"
	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

const pullHelp = `Fetch a model with its vocabulary, so that --model NAME runs it. NAME is one of

  g1:2.9b                    of a family and a size, the newest
  g1:2.9b@20260710           that of a date
  hf:OWNER/REPO[/FILE][@REV] any model of the hub
  https://HOST/FILE          any model file; #sha256=HEX behind it has the content checked

What was fetched before a pull ended is kept, whatever ended it, and the next pull goes on from there. A model is found
only when it is complete and has its hash. Models lie where huggingface_hub keeps its own (HF_HUB_CACHE, HF_HOME), and
what lies there already is not fetched again. HF_TOKEN is sent to the endpoint's server and to no other.`

// pullFlags are the flags of pull.
type pullFlags struct {
	endpoint, dir      string
	mirrors            []string
	connections, tries int
	timeout            time.Duration
	list               bool
}

// mostConnections bounds --connections: servers refuse more.
const mostConnections = 64

func (a *app) pullCommand() *cobra.Command {
	var o pullFlags
	c := &cobra.Command{
		Use: "pull NAME", Short: "Fetch a model by its name", Long: pullHelp,
		Example: "  rwkv-gpu pull g1:0.4b\n  rwkv-gpu chat --model g1:0.4b",
	}
	f := c.Flags()
	f.BoolVar(&o.list, "list", false, "name the models that can be had, and fetch none")
	f.StringVar(&o.endpoint, "endpoint", "", "`URL` of the hub's server; without it HF_ENDPOINT, else "+hub.DefaultEndpoint)
	f.StringArrayVar(&o.mirrors, "mirror", nil, "`URL` of a server that has the same files, for when the endpoint fails; no token is sent there; may be given several times")
	f.StringVar(&o.dir, "dir", "", "keep the model in the folder `D`; without it, where huggingface_hub does")
	f.IntVar(&o.connections, "connections", 4, "fetch on `N` connections at once")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "a request without bytes for so `LONG` has failed")
	f.IntVar(&o.tries, "tries", 8, "give up after `N` failures without progress between them")
	return a.command(c, func(ctx context.Context, args []string) error { return a.pull(ctx, &o, args) })
}

// pull does what the command line says.
func (a *app) pull(ctx context.Context, o *pullFlags, args []string) error {
	n, err := o.check(args)
	if err != nil {
		return err
	}
	h, bars, err := a.hub(ctx, o)
	if err != nil {
		return err
	}
	if o.list {
		list, err := h.Published(ctx)
		if err != nil {
			return hubFault("", err)
		}
		return a.printPublished(h, list)
	}
	begin := time.Now()
	p, err := h.Pull(ctx, n)
	bars.end()
	if err != nil {
		return hubFault("", err)
	}
	if o.dir != "" {
		if err := chosenFolders().Add(h.Cache); err != nil {
			a.notice("the folder %s could not be noted (%v): name the model by its path", o.dir, err)
		}
	}
	return a.printPulled(p, time.Since(begin))
}

// check verifies the flags and the name.
func (o *pullFlags) check(args []string) (n hub.Name, err error) {
	switch {
	case o.connections < 1 || o.connections > mostConnections:
		return n, usagef("--connections", "want 1 to %d, got %d", mostConnections, o.connections)
	case o.tries < 1:
		return n, usagef("--tries", "want 1 or more, got %d", o.tries)
	case o.timeout < time.Millisecond:
		return n, usagef("--timeout", "want a time such as 30s, got %s", o.timeout)
	case o.list && len(args) > 0:
		return n, usagef("argument", "want none with --list, got %q", args[0])
	case o.list:
		return n, nil
	case len(args) != 1:
		return n, usagef("NAME", "want one model, such as g1:0.4b, got %s (--list names what can be had)", words.Plural(len(args), "argument"))
	}
	n, err = hub.Parse(args[0])
	return n, hubFault("NAME", err)
}

// hub returns the hub of the flags and the environment, and what draws its progress.
func (a *app) hub(ctx context.Context, o *pullFlags) (*hub.Hub, *pullProgress, error) {
	e := hub.ReadEnvironment()
	if e.Offline {
		return nil, nil, &failure{statusFailed, "HF_HUB_OFFLINE", errors.New("is set: no server may be asked")}
	}
	if o.endpoint == "" {
		o.endpoint = e.Endpoint
	}
	if o.dir != "" {
		dir, err := filepath.Abs(o.dir)
		if err != nil {
			return nil, nil, usagef("--dir", "%w", err)
		}
		o.dir = dir
	}
	for _, server := range append([]string{o.endpoint}, o.mirrors...) {
		if server != "" && !strings.HasPrefix(server, "https://") && !strings.HasPrefix(server, "http://") {
			return nil, nil, usagef("--endpoint", "want an address that begins with https:// or http://, got %q", fetch.Plain(server))
		}
	}
	folders := caches(o.dir)
	if len(folders) == 0 {
		return nil, nil, usagef("--dir", "want a folder, got none, and no home either")
	}
	bars := &pullProgress{a: a, newBar: func(what string) (func(int64, int64) error, func()) { return a.progressOf(ctx, what) }}
	return &hub.Hub{Endpoint: o.endpoint, Token: e.TokenFor(o.endpoint), Mirrors: o.mirrors, Cache: folders[0], Others: folders[1:],
		VocabDir: load.DataDir(), Fetch: fetch.Options{Connections: o.connections, Stall: o.timeout, Attempts: o.tries,
			Progress: bars.report, Notice: bars.notice}}, bars, nil
}

// pulledModel is the answer of pull --json.
type pulledModel struct {
	Name       string  `json:"name"`
	Path       string  `json:"path"`
	Bytes      int64   `json:"bytes"`
	SHA256     string  `json:"sha256,omitempty"`
	Vocabulary string  `json:"vocabulary,omitempty"`
	Reused     bool    `json:"reused"`
	Fetched    int64   `json:"fetched_bytes"`
	Seconds    float64 `json:"seconds"`
}

func (a *app) printPulled(p *hub.Pulled, took time.Duration) error {
	if a.common.json {
		return a.writeJSON(pulledModel{p.Name.Shown(), p.Path, p.Bytes, p.Sum, p.Vocab, p.Reused, p.Fetched, took.Seconds()})
	}
	how := fmt.Sprintf("%s came in %s", words.Size(uint64(p.Fetched)), took.Round(time.Second/10))
	if p.Reused {
		how = "it was there"
	}
	return a.printf("%s: %s, %s\n%s\nrun it with --model %s\n", oneLine(p.Name.Shown()), words.Size(uint64(p.Bytes)), how, oneLine(p.Path), oneLine(p.Name.Shown()))
}

// publishedModel is a model of pull --list --json.
type publishedModel struct {
	Name  string `json:"name"`
	Repo  string `json:"repo"`
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
	Here  bool   `json:"here"`
}

func (a *app) printPublished(h *hub.Hub, list []hub.Published) error {
	all := struct {
		Models []publishedModel `json:"models"`
	}{[]publishedModel{}}
	for _, p := range list {
		_, err := hub.Find(append([]hub.Cache{h.Cache}, h.Others...), p.Name)
		all.Models = append(all.Models, publishedModel{p.Name.String(), p.Repo, p.File, p.Bytes, err == nil})
	}
	if a.common.json {
		return a.writeJSON(all)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSIZE\tHERE\tWHAT")
	for i, m := range all.Models {
		size := "?"
		if m.Bytes >= 0 {
			size = words.Size(uint64(m.Bytes))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", oneLine(m.Name), size, yes(m.Here), list[i].About)
	}
	_ = w.Flush() // to memory
	return a.printf("%s", b.String())
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return ""
}
