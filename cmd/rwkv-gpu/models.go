package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/hub"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
	"github.com/rwkv-gpu/rwkv-gpu/load"
)

const modelsHelp = `List the models that 'rwkv-gpu pull' and huggingface_hub have fetched. --model takes their names.

  models              what is there
  models where        the folders that models lie in, the one for new models first
  models where NAME   the path of a model
  models rm NAME      remove a model, or what is there of an unfinished one`

func (a *app) modelsCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "models", Short: "List, find and remove fetched models", Long: modelsHelp, Args: noArgs}
	c.PersistentFlags().StringVar(&dir, "dir", "", "look in the folder `D` too")
	rm := &cobra.Command{Use: "rm NAME", Short: "Remove a model"}
	where := &cobra.Command{Use: "where [NAME]", Short: "Print the folders that models lie in, or a model's path"}
	c.AddCommand(a.command(rm, func(_ context.Context, args []string) error { return a.removeModel(dir, args) }),
		a.command(where, func(_ context.Context, args []string) error { return a.whereModels(dir, args) }))
	return a.command(c, func(context.Context, []string) error { return a.listModels(dir) })
}

// hereModel is a model of models --json.
type hereModel struct {
	Name       string `json:"name"`
	Path       string `json:"path"`
	Bytes      int64  `json:"bytes"`
	Version    string `json:"version"`
	Parameters int    `json:"parameters"`
	Quant      string `json:"quant"` // the type of most of its numbers
	Pulled     string `json:"pulled"`
	Error      string `json:"error,omitempty"` // why it does not open
}

// partModel is an unfinished model of models --json.
type partModel struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"` // on the disk at most

	hidden bool // reports whether the name lacks the query of its address
}

func (a *app) listModels(dir string) error {
	all := struct {
		Models     []hereModel `json:"models"`
		Unfinished []partModel `json:"unfinished"`
	}{[]hereModel{}, []partModel{}}
	for _, c := range caches(dir) {
		for _, m := range c.Models() {
			if h, ok := inspect(&m); ok {
				all.Models = append(all.Models, h)
			}
		}
		all.Unfinished = append(all.Unfinished, unfinished(c)...)
	}
	slices.SortStableFunc(all.Models, func(x, y hereModel) int { return cmp.Compare(x.Name, y.Name) })
	if a.common.json {
		return a.writeJSON(all)
	}
	for _, u := range all.Unfinished {
		pull := u.Name + "'"
		if u.hidden {
			pull = "ADDRESS' with the whole address of " + u.Name
		}
		a.notice("unfinished: 'rwkv-gpu pull %s goes on with it, and 'rwkv-gpu models rm %s' removes it", pull, u.Name)
	}
	if len(all.Models) == 0 {
		a.notice("no models here: 'rwkv-gpu pull --list' names what can be had")
		return nil
	}
	return a.printModels(all.Models)
}

// unfinished lists what pulls have left in a cache, each name once.
func unfinished(c hub.Cache) (list []partModel) {
	add := func(n hub.Name, bytes int64) {
		i := slices.IndexFunc(list, func(p partModel) bool { return p.Name == n.Shown() })
		if i < 0 {
			i = len(list)
			list = append(list, partModel{n.Shown(), 0, n.Shown() != n.String()})
		}
		list[i].Bytes += bytes
	}
	for _, u := range c.Unfinished() {
		add(u.Name(), u.Bytes)
	}
	for _, m := range c.Halves() {
		add(m.Name, m.Bytes)
	}
	return list
}

func (a *app) printModels(list []hereModel) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tVERSION\tPARAMETERS\tNUMBERS\tSIZE\tPULLED")
	for _, m := range list {
		if m.Error != "" {
			fmt.Fprintf(w, "%s\tdoes not open: %s\n", oneLine(m.Name), oneLine(m.Error))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", oneLine(m.Name), m.Version, amount(float64(m.Parameters)), m.Quant,
			words.Size(uint64(m.Bytes)), m.Pulled[:len("2006-01-02")])
	}
	_ = w.Flush() // to memory
	return a.printf("%s", b.String())
}

// inspect opens a model to describe it. The models of other architectures in the same folder are none, and ok is false.
func inspect(m *hub.Model) (h hereModel, ok bool) {
	h = hereModel{Name: m.Name.Shown(), Path: m.Path, Bytes: m.Bytes, Pulled: m.Pulled.UTC().Format(time.RFC3339)}
	opened, err := load.Open(load.Options{Model: m.Path})
	if err != nil {
		h.Error = err.Error()
		return h, strings.Contains(strings.ToLower(h.Name), "rwkv") || m.Name.Family != "" || m.Name.URL != ""
	}
	h.Version, h.Parameters = opened.Version, opened.Parameters()
	most := 0
	numbers := map[string]int{}
	for name, t := range opened.File.Tensors {
		typ := strings.ToLower(opened.LoadedAs(name).String())
		if numbers[typ] += t.Len(); numbers[typ] > most {
			most, h.Quant = numbers[typ], typ
		}
	}
	if err := opened.Close(); err != nil {
		h.Error = err.Error()
	}
	return h, true
}

// whereModels prints folders, or the path of the model of a name.
func (a *app) whereModels(dir string, args []string) error {
	if len(args) > 0 {
		m, err := findNamed(dir, args)
		if err != nil {
			return err
		}
		if a.common.json {
			return a.writeJSON(map[string]string{"name": m.Name.Shown(), "path": m.Path})
		}
		return a.printf("%s\n", m.Path)
	}
	list := []string{}
	for _, c := range caches(dir) {
		list = append(list, string(c))
	}
	if a.common.json {
		return a.writeJSON(map[string][]string{"folders": list})
	}
	return a.printf("%s\n", strings.Join(list, "\n"))
}

// removeModel removes the model of a name, or what there is of it.
func (a *app) removeModel(dir string, args []string) error {
	m, err := findNamed(dir, args)
	var absent *hub.NotHereError
	if errors.As(err, &absent) {
		return a.removeUnfinished(dir, absent)
	}
	if err != nil {
		return err
	}
	freed, next := int64(0), m
	for err == nil && next.Same(m) { // a name without a revision means all that have this content
		n, err := next.Remove()
		if freed += n; err != nil {
			return &failure{statusFailed, next.Path, err}
		}
		if next, err = findNamed(dir, args); err != nil {
			break
		}
	}
	return a.printRemoved(m.Name, m.Path, freed)
}

// removeUnfinished removes the unfinished files of a name, and the complete ones of a model that lacks others. The error
// says that there is nothing of it.
func (a *app) removeUnfinished(dir string, absent *hub.NotHereError) error {
	var freed int64
	var name *hub.Name
	removed := func(n hub.Name, bytes int64) {
		freed += bytes
		if name == nil {
			name = &n
		}
	}
	for _, c := range caches(dir) {
		halves := c.Halves() // before the unfinished files go, which tell of them
		for _, u := range c.Unfinished() {
			if !u.Is(absent.Name) {
				continue
			}
			n := u.Name() // while its journal is there
			if err := u.Remove(); err != nil {
				return &failure{statusFailed, n.Shown(), err}
			}
			removed(n, u.Bytes)
		}
		for _, m := range halves {
			if !m.Means(absent.Name) {
				continue
			}
			bytes, err := m.Remove()
			if err != nil {
				return &failure{statusFailed, m.Name.Shown(), err}
			}
			removed(m.Name, bytes)
		}
	}
	if name == nil {
		return hubFault("NAME", absent)
	}
	return a.printRemoved(*name, "", freed)
}

func (a *app) printRemoved(n hub.Name, path string, bytes int64) error {
	if a.common.json {
		return a.writeJSON(struct {
			Name  string `json:"removed"`
			Path  string `json:"path"`
			Bytes int64  `json:"bytes"`
		}{n.Shown(), path, bytes})
	}
	return a.printf("removed %s: %s\n", oneLine(n.Shown()), words.Size(uint64(bytes)))
}

// findNamed returns the model of the one name that args has.
func findNamed(dir string, args []string) (*hub.Model, error) {
	if len(args) != 1 {
		return nil, usagef("NAME", "want one model, such as g1:0.4b, got %s", words.Plural(len(args), "argument"))
	}
	n, err := hub.Parse(args[0])
	if err != nil {
		return nil, hubFault("NAME", err)
	}
	m, err := hub.Find(caches(dir), n)
	return m, hubFault("NAME", err)
}
