package doctor

import (
	"path/filepath"
	"regexp"
	"strings"
)

// paths matches the folders before a file name, as Unix and Windows write them, but not those of an URL.
var paths = regexp.MustCompile(`(^|[\s"'(=\[])((?:[A-Za-z]:)?(?:~|\.{1,2})?[/\\](?:[^\s"':;,()\[\]/\\]+[/\\])*)([^\s"':;,()\[\]/\\]*)`)

// scrub takes the folders from all paths in a text: they have names of people and machines. File names stay.
func scrub(text string) string {
	return paths.ReplaceAllStringFunc(text, func(m string) string {
		parts := paths.FindStringSubmatch(m)
		if parts[3] == "" && parts[2] == "/" { // a stroke between words
			return m
		}
		return parts[1] + parts[3]
	})
}

// modelName returns what a report calls a model.
func modelName(given string) string {
	if given == "" {
		return "the embedded demo model"
	}
	return filepath.Base(strings.TrimRight(filepath.ToSlash(given), "/"))
}
