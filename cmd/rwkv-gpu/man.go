package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/rwkv-gpu/rwkv-gpu/internal/files"
	"github.com/rwkv-gpu/rwkv-gpu/internal/manual"
	"github.com/rwkv-gpu/rwkv-gpu/internal/words"
)

func (a *app) manCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "man DIR", Short: "Write the manual's pages about all commands",
		Long: `Write the manual's pages about all commands to a folder, which is made if it is not there. Pages of the same names are
replaced. They are the text of --help in the form that man reads.`,
		Example: "  rwkv-gpu man ~/.local/share/man/man1\n  man rwkv-gpu-generate",
	}
	return a.command(c, func(_ context.Context, args []string) error { return a.writeManual(c.Root(), args) })
}

// writeManual writes the pages into the folder that args names.
func (a *app) writeManual(root *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usagef("DIR", "want one folder, got %s", words.Plural(len(args), "argument"))
	}
	v := buildVersion()
	date, err := time.Parse(time.RFC3339, v.Time)
	if err != nil { // a build that does not know its commit
		date = time.Now()
	}
	pages := manual.Pages(root, manual.Source{Version: v.Version, Date: date})
	for name, text := range pages {
		if err := files.Keep(filepath.Join(args[0], name), text, false); err != nil {
			return &failure{statusFailed, "DIR", err}
		}
	}
	if a.common.json {
		return a.writeJSON(map[string]any{"dir": args[0], "pages": len(pages)})
	}
	return a.printf("%s in %s\n", words.Plural(len(pages), "page"), args[0])
}
