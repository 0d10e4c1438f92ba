package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// paths matches the folders before a file name, as Unix and Windows write them, but not those of an URL.
var paths = regexp.MustCompile(`(^|[\s"'(=\[])((?:[A-Za-z]:)?(?:~|\.{1,2})?[/\\](?:[^\s"':;,()\[\]/\\]+[/\\])*)([^\s"':;,()\[\]/\\]*)`)

// homes matches the folders of people, whoever they are. Their names may have spaces if a folder or a file follows.
var homes = regexp.MustCompile(`(^|[\s"'(=\[])(?i:(?:[a-z]:)?[/\\]users|/home)[/\\](?:[^"':;,()\[\]/\\\n]*[^\s"':;,()\[\]/\\]([/\\])|[^\s"':;,()\[\]/\\]+)`)

// scrub takes the folders from all paths in a text: they have names of people and machines. File names stay. A folder of
// folders goes whatever its name has in it; one of another folder may have no spaces.
func scrub(text string, folders ...string) string {
	for _, dir := range folders {
		text = hide(text, dir)
	}
	text = homes.ReplaceAllString(text, "${1}~${2}")
	return paths.ReplaceAllStringFunc(text, func(m string) string {
		parts := paths.FindStringSubmatch(m)
		if parts[3] == "" && parts[2] == "/" { // a stroke between words
			return m
		}
		return parts[1] + parts[3]
	})
}

// folders returns this process's own folders and that of a model, those within others first.
func folders(model string) (list []string) {
	add := func(dir string, err error) {
		if dir = filepath.Clean(dir); err == nil && dir != "." && dir != filepath.Dir(dir) && !slices.Contains(list, dir) {
			list = append(list, dir)
		}
	}
	add(os.UserHomeDir())
	add(os.UserCacheDir())
	add(os.Getwd())
	add(os.TempDir(), nil)
	if model != "" {
		add(filepath.Dir(model), nil)
		abs, err := filepath.Abs(model)
		add(filepath.Dir(abs), err)
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}

// hide writes ~ for a folder where a text names it or what is in it. A relative folder is only hidden before what is in
// it, since it may be a word.
func hide(text, dir string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, dir)
		if i < 0 || dir == "" {
			return b.String() + text
		}
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(dir):])
		word := func(r rune) bool {
			return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(`_-~/\`, r)
		}
		inside := after == '/' || after == '\\'
		b.WriteString(text[:i])
		if !(i > 0 && word(before)) && (inside || filepath.IsAbs(dir) && !word(after)) {
			b.WriteString("~")
		} else {
			b.WriteString(dir)
		}
		text = text[i+len(dir):]
	}
}

// modelName returns what a report calls a model.
func modelName(given string) string {
	if given == "" {
		return "the embedded demo model"
	}
	return filepath.Base(strings.TrimRight(filepath.ToSlash(given), "/"))
}
