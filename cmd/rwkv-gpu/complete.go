package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/synthetic"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
)

const completionHelp = `Print a script with which a shell completes commands, flags and their values, and the names of fetched models.

  bash         rwkv-gpu completion bash > ~/.local/share/bash-completion/completions/rwkv-gpu
               (needs the package bash-completion)
  zsh          rwkv-gpu completion zsh > _rwkv-gpu, in a folder of $fpath
  fish         rwkv-gpu completion fish > ~/.config/fish/completions/rwkv-gpu.fish
  powershell   rwkv-gpu completion powershell | Out-String | Invoke-Expression, in $PROFILE`

// shells are those that completion knows, with what writes their scripts.
var shells = []struct {
	name  string
	write func(root *cobra.Command, to io.Writer) error
}{
	{"bash", func(root *cobra.Command, to io.Writer) error { return root.GenBashCompletionV2(to, true) }},
	{"zsh", (*cobra.Command).GenZshCompletion},
	{"fish", func(root *cobra.Command, to io.Writer) error { return root.GenFishCompletion(to, true) }},
	{"powershell", (*cobra.Command).GenPowerShellCompletionWithDesc},
}

func shellNames() (names []string) {
	for _, s := range shells {
		names = append(names, s.name)
	}
	return names
}

func (a *app) completionCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "completion SHELL", Short: "Print a script for a shell that completes command lines", Long: completionHelp,
		Example: "  source <(rwkv-gpu completion bash)",
	}
	return a.command(c, func(_ context.Context, args []string) error {
		if a.common.json {
			return usagef("--json", "want none: a script is no JSON")
		}
		want := strings.Join(shellNames(), ", ")
		if len(args) != 1 {
			return usagef("SHELL", "want one of %s, got %d arguments", want, len(args))
		}
		for _, s := range shells {
			if s.name == args[0] {
				return output(s.write(c.Root(), a.stdout))
			}
		}
		return usagef("SHELL", "want one of %s, got %q", want, args[0])
	})
}

// deviceWords are the devices that have a word.
func deviceWords() []string { return []string{"auto", "gpu", "cpu"} }

// choices are the values of flags that have only some. A name with a command holds for its flag alone.
var choices = map[string]func() []string{
	"device":         deviceWords,
	"draft-device":   deviceWords,
	"quant":          load.QuantNames,
	"quants":         load.QuantNames,
	"tuning":         func() []string { return []string{"on", "off"} },
	"precision":      func() []string { return []string{float32Precision, float16Precision} },
	"state-layout":   load.StateLayouts,
	"group-norm-eps": func() []string { return []string{"64e-5", "1e-5"} },
	"template":       dialectNames,
	"think":          thinkNames,
	"preset":         presetNames,
	"task":           func() []string { return []string{textTask, lambadaTask, choiceTask} },
	"begin":          func() []string { return []string{beginAuto, beginNone} },
	"synthetic":      synthetic.Names,
	"convert type":   func() []string { return typeNames(tensor.Types) },
	"quantize type":  func() []string { return typeNames(slices.Concat(tensor.BlockTypes, tensor.Types)) },
}

// The kinds of values, by the word for them in a flag's help.
var (
	fileWords   = []string{"FILE", "FILE[:SCALE]", "NAME.svg", "PROGRAM"}
	folderWords = []string{"DIR", "D"}
)

// listed are the flags whose values are lists with commas.
var listed = []string{"quants"}

// completing reports whether a shell asks how a command line may go on.
func completing(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// complete tells every command of root what may stand behind it and its flags. Where nothing is told, no file fits.
func complete(root *cobra.Command) error {
	root.InitDefaultHelpCmd() // which would be added later
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	var err error
	eachCommand(root, func(c *cobra.Command) {
		if c.ValidArgsFunction = argumentsOf(c); c.ValidArgsFunction == nil {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if values := valuesOf(c, f); values != nil {
				err = errors.Join(err, c.RegisterFlagCompletionFunc(f.Name, values))
			}
		})
	})
	return err
}

// eachCommand visits c and the commands below it.
func eachCommand(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, below := range c.Commands() {
		eachCommand(below, visit)
	}
}

// argumentsOf returns what completes the arguments of a command, nil if they are nobody's to guess. What has commands
// below it offers those.
func argumentsOf(c *cobra.Command) cobra.CompletionFunc {
	path := strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
	switch _, argument, _ := strings.Cut(c.Use, " "); {
	case path == "help":
		return onlyFirst(func() (names []string) {
			for _, other := range c.Root().Commands() {
				if other.IsAvailableCommand() {
					names = append(names, other.Name()+"\t"+other.Short)
				}
			}
			return names
		}, cobra.ShellCompDirectiveNoFileComp)
	case path == "completion":
		return onlyFirst(shellNames, cobra.ShellCompDirectiveNoFileComp)
	case path == "models rm":
		return onlyFirst(func() []string { return append(pulledNames(), unfinishedNames()...) }, cobra.ShellCompDirectiveNoFileComp)
	case path == "models where":
		return onlyFirst(pulledNames, cobra.ShellCompDirectiveNoFileComp)
	case path == "pull":
		return onlyFirst(unfinishedNames, cobra.ShellCompDirectiveNoFileComp)
	case strings.Contains(argument, "DIR"):
		return onlyFirst(nil, cobra.ShellCompDirectiveFilterDirs)
	case strings.Contains(argument, "FILE"), strings.Contains(argument, "OUT"):
		return onlyFirst(nil, cobra.ShellCompDirectiveDefault)
	}
	return nil
}

// onlyFirst completes the first argument of a command.
func onlyFirst(list func() []string, directive cobra.ShellCompDirective) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		if list == nil {
			return nil, directive
		}
		return list(), directive
	}
}

// valuesOf returns what completes the value of a command's flag, nil if it is nobody's to guess.
func valuesOf(c *cobra.Command, f *pflag.Flag) cobra.CompletionFunc {
	word, _ := pflag.UnquoteUsage(f)
	list := choices[c.Name()+" "+f.Name]
	if list == nil {
		list = choices[f.Name]
	}
	switch {
	case f.Name == "model" || f.Name == "draft":
		return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return modelsFor(typed), cobra.ShellCompDirectiveDefault
		}
	case list != nil && slices.Contains(listed, f.Name):
		return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return listFor(list(), typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	case list != nil:
		return cobra.FixedCompletions(list(), cobra.ShellCompDirectiveNoFileComp|cobra.ShellCompDirectiveKeepOrder)
	case slices.Contains(fileWords, word):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case slices.Contains(folderWords, word):
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	}
	return nil
}

// listFor returns the lists that go on from a typed one with a value that it does not have yet.
func listFor(values []string, typed string) (lists []string) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	for _, v := range values {
		if !slices.Contains(strings.Split(before, ","), v) {
			lists = append(lists, before+v)
		}
	}
	return lists
}

// modelsFor returns the models that --model and --draft take by name: fetched ones, and the embedded draft and made-up
// ones once their name has begun.
// Where no name fits what was typed, shells look for files.
func modelsFor(typed string) []string {
	names := pulledNames()
	if strings.HasPrefix(typed, "dem") {
		names = append(names, load.DemoDraft)
	}
	if strings.HasPrefix(typed, "syn") {
		for _, size := range synthetic.Names() {
			names = append(names, "synthetic:"+size)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, typed) })
}

// pulledNames are the names of the models that are here. No model is opened.
func pulledNames() (names []string) {
	for _, c := range caches("") {
		for _, m := range c.Models() {
			names = append(names, m.Name.Shown())
		}
	}
	return sorted(names)
}

// unfinishedNames are the names of models whose pull may go on.
func unfinishedNames() (names []string) {
	for _, c := range caches("") {
		for _, u := range unfinished(c) {
			names = append(names, u.Name)
		}
	}
	return sorted(names)
}

// sorted returns each of the names once, but for those that a shell cannot show on a line.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(n string) bool { return n == "" || oneLine(n) != n })
}

func typeNames(list []tensor.Type) (names []string) {
	for _, t := range list {
		names = append(names, strings.ToLower(t.String()))
	}
	return names
}
