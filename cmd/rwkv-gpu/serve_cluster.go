package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/cluster"
	"github.com/rwkv-gpu/rwkv-gpu/cluster/embedded"
	"github.com/rwkv-gpu/rwkv-gpu/cluster/store"
	"github.com/rwkv-gpu/rwkv-gpu/engine/text"
	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server"
	"github.com/rwkv-gpu/rwkv-gpu/server/grammars"
	"github.com/rwkv-gpu/rwkv-gpu/server/local"
	"github.com/rwkv-gpu/rwkv-gpu/server/replicas"
)

// clusterFlags say with whom a server works together.
type clusterFlags struct {
	url, name     string
	ca, cert, key string
	creds         string
	dir           string
	join          []string
	bytes         size
	copies        int
}

// tokenEnv has the word that NATS clients have to know, where that is how they are let in.
const tokenEnv = "RWKV_CLUSTER_TOKEN" //nolint:gosec // the name of a variable is no secret

// embeddedPort is where a server in the process listens if --cluster names no port; others of its cluster reach it at
// the port that lies routeOffset above.
const (
	embeddedPort = 4222
	routeOffset  = 2000
)

func (o *clusterFlags) add(f *pflag.FlagSet) {
	o.bytes = store.DefaultBytes
	f.StringVar(&o.url, "cluster", "", "work together with other servers, by NATS at `URL`: nats://HOST:4222,… or embedded[:PORT], a NATS server in this process")
	f.StringVar(&o.name, "cluster-name", "rwkv", "`NAME` of those that work together")
	f.StringVar(&o.creds, "cluster-creds", "", "`FILE` of credentials for NATS")
	f.StringVar(&o.ca, "cluster-ca", "", "`FILE` of authorities (PEM) that NATS servers are trusted by, besides the system's")
	f.StringVar(&o.cert, "cluster-cert", "", "certificate `FILE` (PEM) that NATS servers know this one by")
	f.StringVar(&o.key, "cluster-key", "", "`FILE` of the key (PEM) of --cluster-cert")
	f.StringVar(&o.dir, "cluster-dir", "", "`DIR` of what a NATS server in this process keeps (default: in the user's folder for caches)")
	f.StringArrayVar(&o.join, "cluster-join", nil, "`HOST:PORT` of another server with --cluster embedded:PORT; may be given several times")
	f.Var(&o.bytes, "cluster-bytes", "`BYTES` of states that are kept for all together, when the first of them starts")
	f.IntVar(&o.copies, "cluster-copies", 0, "keep `N` copies of these, in as many NATS servers (default: 3, and 1 where there is one server)")
}

// check finds what is wrong with the flags. port is that of a server in the process, -1 for none.
func (o *clusterFlags) check() (port int, err error) {
	rest, embedded := strings.CutPrefix(o.url, "embedded")
	switch {
	case o.url == "":
		for _, one := range [][2]string{{"--cluster-creds", o.creds}, {"--cluster-ca", o.ca}, {"--cluster-cert", o.cert},
			{"--cluster-key", o.key}, {"--cluster-dir", o.dir}, {"--cluster-join", strings.Join(o.join, "")}} {
			if one[1] != "" {
				return -1, usagef(one[0], "want --cluster too, got none")
			}
		}
		return -1, nil
	case o.copies < 0 || o.copies > 5:
		return -1, usagef("--cluster-copies", "want 0 to 5, got %d", o.copies)
	case o.bytes < 1:
		return -1, usagef("--cluster-bytes", "want 1 or more, got %d", o.bytes)
	case !embedded && (o.dir != "" || len(o.join) > 0):
		return -1, usagef("--cluster", "want embedded[:PORT] with --cluster-dir and --cluster-join, got a URL")
	case !embedded:
		if err := cluster.CheckURL(o.url); err != nil {
			return -1, usagef("--cluster", "%w", err)
		}
		return -1, nil
	case rest == "":
		return embeddedPort, nil
	}
	n, err := strconv.Atoi(strings.TrimPrefix(rest, ":"))
	if err != nil || !strings.HasPrefix(rest, ":") || n < 1 || n+routeOffset > 65535 {
		return -1, usagef("--cluster", "want embedded or embedded:PORT with a port of at most %d, got %q", 65535-routeOffset, o.url)
	}
	return n, nil
}

// together is what a server has to work together with others.
type together struct {
	*replicas.Model
	server *embedded.Server // nil for none in this process
}

// Close ends the work together.
func (t *together) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := t.Model.Close(ctx)
	if t.server != nil {
		t.server.Close()
	}
	return err
}

// leave has others give this server no more work.
func (t *together) leave() {
	if t != nil {
		t.Leave()
	}
}

// standing tells how the server works together with others, for /health; "" where it was not asked to.
func (t *together) standing() string {
	switch {
	case t == nil:
		return ""
	case t.Alone():
		return "alone"
	}
	return "together"
}

// cluster has a model work together with others, as the flags say; nil where they do not.
func (a *app) cluster(ctx context.Context, o *serveFlags, model *local.Model, forms *grammars.Compiler) (_ *together, err error) {
	port, err := o.cluster.check()
	if err != nil || o.cluster.url == "" {
		return nil, err
	}
	id, err := model.Identity()
	if err != nil {
		return nil, err
	}
	t := new(together)
	defer func() {
		if err != nil && t.server != nil {
			t.server.Close()
		}
	}()
	group := replicas.Group(id)
	c := &o.cluster
	n := cluster.Options{URL: c.url, Name: c.name, Group: group, CA: c.ca, Cert: c.cert, Key: c.key, Creds: c.creds, Token: os.Getenv(tokenEnv), Log: a.log()}
	if port >= 0 {
		if t.server, err = a.embedded(c, port); err != nil {
			return nil, err
		}
		n.URL, n.Server = "nats://127.0.0.1", t.server
	}
	node, err := cluster.Join(n)
	if bad := new(cluster.OptionError); errors.As(err, &bad) {
		return nil, usagef("--cluster-"+bad.Field, "%w", bad.Err)
	}
	if err != nil {
		return nil, &failure{statusFailed, "--cluster", err}
	}
	s, err := store.New(node.Conn(), store.Options{Name: c.name + "_" + group, Bytes: int64(c.bytes), Replicas: c.copies})
	if err == nil {
		t.Model, err = replicas.New(model, node, s, replicas.Options{Log: a.log(), Constraint: forms.Remake, Gate: remakeGate})
	}
	if err != nil {
		return nil, errors.Join(err, node.Close())
	}
	a.openStore(ctx, s, t)
	return t, nil
}

// remakeGate makes again the gate of an answer of another replica.
func remakeGate(recipe []byte) (text.Gate, error) {
	gate, err := prompt.RemakeStart(recipe)
	if err != nil {
		return nil, err
	}
	return gate, nil
}

// openStore says what is wrong with the place of states and records, if it is not there soon.
func (a *app) openStore(ctx context.Context, s *store.Store, t *together) {
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			wait, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := s.Open(wait)
			cancel()
			if err == nil {
				return
			}
			if n == 3 || n > 0 && n%60 == 0 {
				a.log().Warn("cluster: nothing can be kept: answers go on elsewhere if a replica ends, and their texts are read anew",
					slog.Any("cause", err))
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
	}()
}

// embedded starts a server in the process. It is reached from this computer alone, unless clients have to know a token.
func (a *app) embedded(c *clusterFlags, port int) (*embedded.Server, error) {
	o := embedded.Options{Port: port, Dir: c.dir, Name: fmt.Sprintf("rwkv-%d", port), Token: os.Getenv(tokenEnv)}
	if o.Dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, usagef("--cluster-dir", "want a folder, since there is none for caches: %w", err)
		}
		o.Dir = filepath.Join(cache, "rwkv-gpu", "cluster", strconv.Itoa(port))
	}
	if name, err := os.Hostname(); err == nil {
		o.Name += "-" + name
	}
	for _, one := range c.join {
		host, at, err := net.SplitHostPort(one)
		n, bad := strconv.Atoi(at)
		if err != nil || bad != nil || host == "" || n < 1 || n+routeOffset > 65535 {
			return nil, usagef("--cluster-join", "want HOST:PORT of another server's --cluster embedded:PORT, got %q", one)
		}
		u := url.URL{Scheme: "nats", Host: net.JoinHostPort(host, strconv.Itoa(n+routeOffset))}
		o.Cluster, o.Route, o.Join = c.name, port+routeOffset, append(o.Join, u.String())
	}
	if o.Token != "" {
		o.Host = "0.0.0.0"
	} else {
		a.notice("NATS in this process is reached from this computer alone: set %s to let those in from elsewhere who know it", tokenEnv)
	}
	s, err := embedded.Start(o)
	if err != nil {
		return nil, &failure{statusFailed, "--cluster", err}
	}
	return s, nil
}

// measure has figures of the work together told.
func (t *together) measure(m *server.Metrics) {
	if t != nil {
		t.Measure(m)
	}
}
