package manual

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// hostile is a program whose help is full of what roff and Markdown take for commands.
func hostile() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "tool", Short: `A tool: "quoted", back\slash`, Run: run, Long: `.first line is no macro
'second neither, nor a*b_c*, ~x, x^2 or -9.

  column   two  \n
  .column  three

  a block of its own
Back in the text.`}
	root.PersistentFlags().StringP("file", "f", "it's", "`FILE` to read, or \\fBnone\\fR")
	root.PersistentFlags().Bool("brief", false, "say `less`")
	root.PersistentFlags().Int("secret", 1, "of nobody's interest")
	_ = root.PersistentFlags().MarkHidden("secret")
	below := &cobra.Command{Use: "sub [X|-]", Short: "Below", Run: run, Example: "  tool sub - | tool sub"}
	below.Flags().Int("n", -1, "`N` times")
	root.AddCommand(below, &cobra.Command{Use: "hidden", Hidden: true, Run: run}, &cobra.Command{Use: "bare", Short: "No flags", Run: run})
	return root
}

var source = Source{Version: "v1.2.3-rc.1", Date: time.Date(2026, 2, 3, 23, 0, 0, 0, time.FixedZone("", -3600))}

// shown returns a page as man shows it, without the spaces that fill its lines.
func shown(t *testing.T, text []byte) string {
	t.Helper()
	c := exec.Command("man", "--warnings", "-E", "ascii", "-l", "-")
	if _, err := exec.LookPath("mandoc"); err == nil {
		c = exec.Command("mandoc", "-T", "ascii", "-O", "width=200")
	} else if _, err := exec.LookPath("man"); err != nil {
		t.Skip("neither mandoc nor man here")
	}
	c.Env = append(os.Environ(), "MANWIDTH=200", "MAN_KEEP_FORMATTING=", "LC_ALL=C")
	c.Stdin = bytes.NewReader(text)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var plain []byte
	for i := 0; i < len(out); i++ { // bold and underlined: a letter, back, a letter
		if out[i] == '\b' && len(plain) > 0 {
			plain = plain[:len(plain)-1]
			continue
		}
		plain = append(plain, out[i])
	}
	return string(plain)
}

// Man shows what help says, and takes nothing of it for a command.
func TestShown(t *testing.T) {
	pages := Pages(hostile(), source)
	if len(pages) != 3 || pages["tool-sub.1"] == nil || pages["tool-bare.1"] == nil {
		t.Fatalf("%d pages", len(pages))
	}
	text := shown(t, pages["tool.1"])
	for _, want := range []string{
		`tool - A tool: "quoted", back\slash`,
		`.first line is no macro 'second neither, nor a*b_c*, ~x, x^2 or -9.`,
		"column   two  \\n\n", ".column  three\n", "a block of its own\n", "Back in the text.",
		"-f, --file FILE\n", `FILE to read, or \fBnone\fR (default it's)`, "--brief", "say less",
		"See tool-sub(1).", "2026-02-04", "tool v1.2.3-rc.1", "TOOL(1)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	for _, bad := range []string{"secret", "hidden", "help"} {
		if strings.Contains(text, bad) {
			t.Errorf("it has %q", bad)
		}
	}
	text = shown(t, pages["tool-sub.1"])
	for _, want := range []string{"tool sub [X|-] [flags]", "--n N", "N times (default -1)", "tool sub - | tool sub\n", "tool(1)", "Below."} {
		if !strings.Contains(text, want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
}

// The checkers of mandoc and groff have nothing to say.
func TestLint(t *testing.T) {
	dir := t.TempDir()
	checked := false
	for name, text := range Pages(hostile(), source) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, command := range [][]string{{"mandoc", "-T", "lint", "-W", "warning"}, {"groff", "-man", "-Tascii", "-ww", "-z"}} {
			if _, err := exec.LookPath(command[0]); err != nil {
				continue
			}
			checked = true
			if out, err := exec.Command(command[0], append(command[1:], path)...).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s: %v: %s\n%s", command[0], err, out, text)
			}
		}
	}
	if !checked {
		t.Skip("neither mandoc nor groff here")
	}
}
