package manual

import "strings"

// writer writes a page in the macros of man(7).
type writer struct{ strings.Builder }

// line writes a macro with its arguments, which are names and dates.
func (w *writer) line(macro string, args ...string) {
	w.WriteString("." + macro)
	for _, a := range args {
		w.WriteString(` "` + strings.NewReplacer(`\`, `\e`, `"`, `\(dq`).Replace(a) + `"`)
	}
	w.WriteByte('\n')
}

// raw writes a line that is escaped already.
func (w *writer) raw(text string) { w.WriteString(guard(text) + "\n") }

// text writes lines that are filled.
func (w *writer) text(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		w.raw(escape(strings.TrimSpace(line)))
	}
}

// paragraphs writes help. A blank line ends a paragraph. Lines that are indented stay as they are.
func (w *writer) paragraphs(help string) {
	for i, block := range blocks(help) {
		if i > 0 {
			w.line("PP")
		}
		if !indented(block[0]) {
			w.text(strings.Join(block, "\n"))
			continue
		}
		w.WriteString(".RS 2\n.nf\n")
		for _, line := range block {
			w.raw(escape(strings.TrimPrefix(line, indent)))
		}
		w.WriteString(".fi\n.RE\n")
	}
}

// indent begins the lines that stay as they are.
const indent = "  "

func indented(line string) bool { return strings.HasPrefix(line, indent) }

// blocks divides help at blank lines, and where indented lines begin or end.
func blocks(help string) (list [][]string) {
	open := false
	for line := range strings.SplitSeq(help, "\n") {
		if strings.TrimSpace(line) == "" {
			open = false
			continue
		}
		if last := len(list) - 1; open && indented(list[last][0]) == indented(line) {
			list[last] = append(list[last], line)
			continue
		}
		list, open = append(list, []string{line}), true
	}
	return list
}

// escape makes a text mean itself in roff. A hyphen stays the one that shells and searches know.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\e`, `-`, `\-`, "`", `\(ga`, `'`, `\(aq`, `^`, `\(ha`, `~`, `\(ti`).Replace(text)
}

// guard keeps a line from being taken for a macro.
func guard(line string) string {
	if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
		return `\&` + line
	}
	return line
}
