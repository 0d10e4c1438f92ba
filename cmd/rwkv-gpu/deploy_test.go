package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
)

// deployed returns the text of a file of deploy/.
func deployed(t *testing.T, path ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{reference.Root(t), "deploy"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// podCommands returns the command lines that the manifests and the image have.
func podCommands(t *testing.T) (all [][]string) {
	t.Helper()
	set := deployed(t, "kubernetes", "statefulset.yaml")
	for _, list := range regexp.MustCompile(`(?m)^ +args: \[(.*)\]$`).FindAllStringSubmatch(set, -1) {
		all = append(all, wordsOf(list[1]))
	}
	for _, block := range regexp.MustCompile(`(?m)^ +args:\n((?: +- .*\n)+)`).FindAllStringSubmatch(set, -1) {
		var args []string
		for line := range strings.Lines(block[1]) {
			args = append(args, strings.Trim(strings.TrimPrefix(strings.TrimSpace(line), "- "), `"`))
		}
		all = append(all, args)
	}
	for _, list := range regexp.MustCompile(`(?m)^CMD \[(.*)\]$`).FindAllStringSubmatch(deployed(t, "Containerfile"), -1) {
		all = append(all, wordsOf(list[1]))
	}
	return all
}

// wordsOf returns what a list in brackets has.
func wordsOf(list string) (all []string) {
	for _, word := range strings.Split(list, ",") {
		all = append(all, strings.Trim(word, ` "`))
	}
	return all
}

// The commands of the manifests and the image are there, with their flags, and take the values.
func TestDeployCommands(t *testing.T) {
	all := podCommands(t)
	if len(all) != 3 {
		t.Errorf("want the server, the init container and the image, got %v", all)
	}
	for _, args := range all {
		a := &app{}
		root := a.rootCommand()
		command, rest, err := root.Find(args)
		if err == nil && command == root {
			t.Errorf("%v: no such command", args)
			continue
		}
		if err == nil {
			err = command.ParseFlags(rest)
		}
		if err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
	if !slices.ContainsFunc(all, func(args []string) bool { return slices.Contains(args, "--api-keys=/etc/rwkv-gpu/keys") }) {
		t.Errorf("no server asks for keys: %v", all)
	}
}

// series are the names in queries, without what Prometheus adds to those of histograms.
func series(queries string) (names []string) {
	for _, name := range regexp.MustCompile(`\b(?:rwkv|process|go)_[a-z_]+\b`).FindAllString(queries, -1) {
		for _, part := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, part)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// board is what is read of the dashboard.
type board struct {
	Panels []struct {
		ID      int
		Title   string
		Type    string
		GridPos struct{ H, W, X, Y int }
		Targets []struct{ Expr string }
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

// The dashboard, the autoscaler and the adapter ask for figures that the server has, and the probes for paths. The dashboard shows each of them, but for
// the count of files.
func TestDeployMetrics(t *testing.T) {
	s := startServing(t, "--device", "cpu", "--cluster", fmt.Sprint("embedded:", freePort(t)), "--cluster-dir", t.TempDir())
	checkPaths(t, s)
	s.post(t, "/v1/completions", `{"prompt":"Once","max_tokens":2}`)
	var told []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) `).FindAllStringSubmatch(s.get(t, "/metrics"), -1) {
		told = append(told, m[1])
	}
	var b board
	if err := json.Unmarshal([]byte(deployed(t, "grafana", "rwkv-gpu.json")), &b); err != nil {
		t.Fatal(err)
	}
	var queries strings.Builder
	for _, v := range b.Templating.List {
		queries.WriteString(v.Definition + "\n")
	}
	for _, p := range b.Panels {
		if (p.Type != "row") != (len(p.Targets) > 0) {
			t.Errorf("%q has %d queries", p.Title, len(p.Targets))
		}
		for _, q := range p.Targets {
			queries.WriteString(q.Expr + "\n")
		}
	}
	shown := series(queries.String())
	if len(shown) < 20 {
		t.Errorf("the dashboard has only %v", shown)
	}
	wanted := append(slices.Clone(shown), "rwkv_queue_requests", "rwkv_sequences_resident")
	scaled := regexp.MustCompile(`metric: \{name: (\w+)\}`).FindAllStringSubmatch(deployed(t, "kubernetes", "autoscaler.yaml"), -1)
	rules := regexp.MustCompile(`__name__=~"(.*?)"`).FindStringSubmatch(deployed(t, "kubernetes", "adapter-values.yaml"))
	if len(scaled) == 0 || rules == nil {
		t.Fatalf("the autoscaler has %v, the adapter %v", scaled, rules)
	}
	for _, m := range scaled {
		wanted = append(wanted, m[1])
		if !regexp.MustCompile(rules[1]).MatchString(m[1]) {
			t.Errorf("the adapter does not serve %s, which the autoscaler asks for", m[1])
		}
	}
	for _, name := range wanted {
		if !slices.Contains(told, name) {
			t.Errorf("the server has no %s", name)
		}
	}
	for _, name := range told {
		if strings.HasPrefix(name, "rwkv_") && !slices.Contains(shown, name) && !slices.Contains(unshown, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}

// unshown are figures that the dashboard has in other forms.
var unshown = []string{"rwkv_request_seconds", "rwkv_files", "rwkv_states"}

// The panels of the dashboard do not lie on each other, and each has a number of its own.
func TestDeployPanels(t *testing.T) {
	var b board
	if err := json.Unmarshal([]byte(deployed(t, "grafana", "rwkv-gpu.json")), &b); err != nil {
		t.Fatal(err)
	}
	taken, ids := map[[2]int]string{}, map[int]bool{}
	for _, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("%q: number %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies on %q, or beside the page", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// checkPaths asks for the paths of the probes and of the image's check, which the server answers with status 200.
func checkPaths(t *testing.T, s *serving) {
	t.Helper()
	asked := regexp.MustCompile(`path: (/\w+), port: http`).FindAllStringSubmatch(deployed(t, "kubernetes", "statefulset.yaml"), -1)
	asked = append(asked, regexp.MustCompile(`http://127\.0\.0\.1:8080(/\w+)`).FindAllStringSubmatch(deployed(t, "Containerfile"), -1)...)
	if len(asked) != 4 {
		t.Errorf("want the paths of three probes and a check, got %v", asked)
	}
	for _, m := range asked {
		s.get(t, m[1])
	}
}
