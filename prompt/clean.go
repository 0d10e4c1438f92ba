package prompt

import (
	"regexp"
	"strings"
)

var blankLines = regexp.MustCompile(`\n{2,}`)

// Clean returns a text as it may stand in a message. A blank line ends a turn in the texts that the models were trained
// on, so none may be left inside one. Line ends become \n, runs of them become one, and white space at both ends is
// dropped. The rule is that of RWKV-LM (RWKV-v7/RWKV7-G1x-templates.txt), which leaves a single \r alone.
func Clean(text string) string {
	return blankLines.ReplaceAllString(strip(text), "\n")
}

// strip is Clean but for blank lines, which stay.
func strip(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.TrimSpace(strings.ReplaceAll(text, "\r", "\n"))
}
