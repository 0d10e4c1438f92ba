package main

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completions returns what a shell is told about a command line whose last word is not complete.
func completions(t *testing.T, args ...string) (list []string, d cobra.ShellCompDirective) {
	t.Helper()
	r := cli(append([]string{cobra.ShellCompNoDescRequestCmd}, args...)...)
	lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
	number, ok := strings.CutPrefix(lines[len(lines)-1], ":")
	n, err := strconv.Atoi(number)
	if r.status != statusDone || !ok || err != nil {
		t.Fatalf("%q: %s", args, r)
	}
	return lines[:len(lines)-1], cobra.ShellCompDirective(n)
}

// A flag with choices offers those, and the command takes each of them and no other: what it says it wants is what is
// offered.
func TestChoices(t *testing.T) {
	ways := map[string][]string{
		"quant": {"tokenize", "x"}, "tuning": {"tokenize", "x"}, "precision": {"compare"}, "state-layout": {"logits", "--tokens", "1"},
		"group-norm-eps": {"tokenize", "x"}, "template": {"prompt", "-"}, "think": {"prompt", "-"}, "preset": {"chat"}, "task": {"eval", "-"},
		"quants": {"eval", "-"}, "synthetic": {"bench"}, "convert type": {"convert", "x.gguf"}, "quantize type": {"quantize", "x.gguf"},
	}
	wanted := regexp.MustCompile(`want (?:(?:one|some) of )?([^;]*?)(?:, which[^,]*)?, got`)
	for key, list := range choices {
		if strings.HasSuffix(key, "device") || key == "begin" { // which take other words too
			continue
		}
		args, flag := ways[key], key[strings.LastIndex(key, " ")+1:]
		if args == nil {
			t.Errorf("--%s: no command here", key)
			continue
		}
		offered, _ := completions(t, append(slices.Clone(args), "--"+flag, "")...)
		if !slices.Equal(offered, list()) {
			t.Errorf("--%s: want %q, got %q", key, list(), offered)
		}
		r := cliWith(context.Background(), "", nil, append(slices.Clone(args), "--"+flag, "9")...) // no such thing
		m := wanted.FindStringSubmatch(r.stderr)
		if r.status != statusUsage || m == nil {
			t.Errorf("--%s: %s", key, r)
			continue
		}
		takes := strings.Split(strings.ReplaceAll(m[1], " or ", ", "), ", ")
		slices.Sort(takes)
		slices.Sort(offered)
		if !slices.Equal(takes, offered) {
			t.Errorf("--%s: offered are %q, taken %q", key, offered, takes)
		}
	}
}

// free are the words of flags whose values are nobody's to guess.
var free = strings.Fields("N T P K PENALTY FACTOR SEED TEXT IDS LENGTHS NUMBERS DEPTHS LINE SHARE PERPLEXITY ADDRESS BYTES NAME ORIGIN TIME LONG SHARES URL WxH HOST:PORT")

// Each flag with a value has choices, names a file or a folder, or has a word for what nobody can guess. Whoever adds
// another one has to say which.
func TestEveryValue(t *testing.T) {
	a := &app{}
	root := a.rootCommand()
	seen, flags := map[string]bool{}, 0
	eachCommand(root, func(c *cobra.Command) {
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			word, _ := pflag.UnquoteUsage(f)
			if f.Value.Type() == "bool" {
				return
			}
			flags++
			seen[f.Name], seen[c.Name()+" "+f.Name] = true, true
			if valuesOf(c, f) == nil && !slices.Contains(free, word) {
				t.Errorf("%s --%s %s: completion does not know this kind of value", c.Name(), f.Name, word)
			}
		})
	})
	for name := range choices {
		if !seen[name] {
			t.Errorf("no command has --%s", name)
		}
	}
	if flags < 80 {
		t.Errorf("%d flags", flags)
	}
}

func TestComplete(t *testing.T) {
	dir := atHub(t, newHub(t))
	if r := cli("pull", "g1:0.4b"); r.status != statusDone {
		t.Fatal(r)
	}
	const files, folders, none = cobra.ShellCompDirectiveDefault, cobra.ShellCompDirectiveFilterDirs, cobra.ShellCompDirectiveNoFileComp
	for _, c := range []struct {
		line string
		want []string
		d    cobra.ShellCompDirective
	}{
		{"gener", []string{"generate"}, none},
		{"models ", []string{"rm", "where"}, none},
		{"models rm ", []string{pullName}, none},
		{"models where ", []string{pullName}, none},
		{"generate --model ", []string{pullName}, files},
		{"generate --model g1", []string{pullName}, files},
		{"generate --model ./", nil, files},
		{"info --model=g", []string{pullName}, files},
		{"info --model synthetic:0.4", []string{"synthetic:0.4b"}, files},
		{"chat --draft ", []string{pullName}, files},
		{"chat --draft demo", []string{"demo:draft"}, files},
		{"generate --dev", []string{"--device"}, none},
		{"generate ", nil, none},
		{"generate -n ", nil, none},
		{"generate --tuning o", []string{"on", "off"}, none | cobra.ShellCompDirectiveKeepOrder},
		{"eval --quants q8_0,q5", []string{"q8_0,none", "q8_0,q6_k"}, none | cobra.ShellCompDirectiveNoSpace},
		{"eval ", nil, files},
		{"convert ", nil, files},
		{"convert a.gguf ", nil, none},
		{"man ", nil, folders},
		{"serve --cache-disk ", nil, folders},
		{"serve --tls-cert ", nil, files},
		{"completion ", []string{"bash", "zsh", "fish", "powershell"}, none},
		{"help quan", []string{"quantize"}, none},
	} {
		list, d := completions(t, strings.Split(c.line, " ")...)
		if c.line == "help quan" { // the shell's own work
			list = slices.DeleteFunc(list, func(s string) bool { return !strings.HasPrefix(s, "quan") })
		}
		if d != c.d || len(list) < len(c.want) || !slices.Equal(list[:len(c.want)], c.want) || c.want == nil && len(list) > 0 {
			t.Errorf("%s: want %q and %d, got %q and %d", c.line, c.want, c.d, list, d)
		}
	}
	if list, _ := completions(t, "generate", "--model", "/"); len(list) > 0 {
		t.Errorf("%q of %s", list, dir)
	}
}

// The script is written for shells that are known, and for no other.
func TestCompletionScripts(t *testing.T) {
	for _, s := range shells {
		if r := cli("completion", s.name); r.status != statusDone || len(r.stdout) < 1000 || !strings.Contains(r.stdout, "rwkv-gpu") {
			t.Errorf("%s: %s", s.name, r)
		}
	}
	wantError(t, cli("completion", "csh"), statusUsage, `completion: SHELL: want one of bash, zsh, fish, powershell, got "csh"`)
	wantError(t, cli("completion"), statusUsage, "SHELL: want one of bash, zsh, fish, powershell, got 0 arguments")
	wantError(t, cli("completion", "bash", "--json"), statusUsage, "--json: want none")
	wantError(t, cliWith(t.Context(), "", closedStream{}, "completion", "zsh"), statusFailed, "standard output")
}
