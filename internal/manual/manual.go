// Package manual writes pages of the system's manual about commands of cobra, from what they say of themselves.
//
// Cobra's own generator takes the help of a command for Markdown. There columns run together, and a * or _ of a formula
// is lost. Here lines that are indented stay as they are, and all else is text.
package manual

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Source is what all pages say of the program.
type Source struct {
	Version string
	Date    time.Time // of the version
}

// section is where programs of users stand in the manual.
const section = "1"

// Pages returns the pages of a command and of those below it, by file name: program.1, program-command.1.
func Pages(root *cobra.Command, s Source) map[string][]byte {
	pages := map[string][]byte{}
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		pages[name(c)+"."+section] = []byte(page(c, s))
		for _, below := range listed(c) {
			add(below)
		}
	}
	add(root)
	return pages
}

// name is that of a command's page.
func name(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// listed are the commands below c that its help lists, but for help itself.
func listed(c *cobra.Command) []*cobra.Command {
	return slices.DeleteFunc(slices.Clone(c.Commands()), func(b *cobra.Command) bool { return !b.IsAvailableCommand() || b.Name() == "help" })
}

func page(c *cobra.Command, s Source) string {
	var p writer
	root := c.Root().Name()
	p.line("TH", strings.ToUpper(name(c)), section, s.Date.UTC().Format(time.DateOnly), root+" "+s.Version, root+" manual")
	p.line("SH", "NAME")
	p.text(name(c) + ` - ` + c.Short)
	p.line("SH", "SYNOPSIS")
	_, arguments, _ := strings.Cut(c.Use, " ")
	use := `\fB` + escape(c.CommandPath()) + `\fR ` + escape(arguments)
	if len(listed(c)) > 0 {
		use += ` [\fICOMMAND\fR]`
	}
	p.raw(strings.TrimSpace(strings.TrimSpace(use) + ` [\fIflags\fR]`))
	p.line("SH", "DESCRIPTION")
	p.paragraphs(description(c))
	if list := listed(c); len(list) > 0 {
		p.line("SH", "COMMANDS")
		for _, below := range list {
			p.line("TP")
			p.raw(`\fB` + escape(below.Name()) + `\fR`)
			p.text(below.Short + ". See " + name(below) + "(" + section + ").")
		}
	}
	p.flags("OPTIONS", c.NonInheritedFlags())
	if c.HasParent() {
		if c.HasAvailableLocalFlags() {
			p.line("PP")
		}
		p.text("Those of every command, such as --model and --device, are in " + root + "(" + section + ").")
	}
	if c.Example != "" {
		p.line("SH", "EXAMPLES")
		p.paragraphs(c.Example)
	}
	p.related(c)
	return p.String()
}

// description is the help of a command.
func description(c *cobra.Command) string {
	if c.Long == "" {
		return c.Short + "."
	}
	return c.Long
}

// related lists the pages of a command's parents.
func (p *writer) related(c *cobra.Command) {
	var names []string
	for parent := c.Parent(); parent != nil; parent = parent.Parent() {
		names = append(names, name(parent)+"("+section+")")
	}
	if len(names) > 0 {
		p.line("SH", "SEE ALSO")
		p.text(strings.Join(names, ", "))
	}
}

// flags writes a section of flags.
func (p *writer) flags(title string, f *pflag.FlagSet) {
	p.line("SH", title)
	f.VisitAll(func(flag *pflag.Flag) {
		if flag.Hidden {
			return
		}
		word, usage := pflag.UnquoteUsage(flag)
		tag := `\fB` + escape("--"+flag.Name) + `\fR`
		if flag.Shorthand != "" {
			tag = `\fB` + escape("-"+flag.Shorthand) + `\fR, ` + tag
		}
		if word != "" && flag.Value.Type() != "bool" {
			tag += ` \fI` + escape(word) + `\fR`
		}
		p.line("TP")
		p.raw(tag)
		if d := flag.DefValue; !slices.Contains([]string{"", "0", "0s", "false", "[]"}, d) && !strings.Contains(usage, "(default") {
			usage += fmt.Sprintf(" (default %s)", d)
		}
		p.text(usage)
	})
}
