package hub

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// family is a row of models that are published under one name.
type family struct {
	name  string
	repo  string
	file  *regexp.Regexp // what the name of a file of the family begins with; the first group is a name as well
	vocab vocabulary     // that its models have
	about string
}

// families are all that names may begin with.
var families = []family{
	{"g1", "BlinkDL/rwkv7-g1", regexp.MustCompile(`(?i)^rwkv7-(g1[a-z]?)-`), world, "RWKV-7 G1, thinks and chats"},
	{"g1-st", "rwkv-rs/rwkv7-g1-st", regexp.MustCompile(`(?i)^rwkv7-(g1[a-z]?)-`), world, "the same as safetensors"},
	{"latest", "BlinkDL/temp-latest-training-models", regexp.MustCompile(`(?i)^rwkv7-()`), world, "RWKV-7 while it is trained"},
	{"world", "BlinkDL/rwkv-7-world", regexp.MustCompile(`(?i)^rwkv-x070-(world)-`), world, "RWKV-7 World"},
	{"world6", "BlinkDL/rwkv-6-world", regexp.MustCompile(`(?i)^rwkv-x060-(world)-`), world, "RWKV-6 World"},
	{"raven", "BlinkDL/rwkv-4-raven", regexp.MustCompile(`(?i)^rwkv-4-(raven)-`), neoX, "RWKV-4 Raven"},
}

// familyOf returns the family of a name: its own, or that of one generation of its models, such as g1h.
func familyOf(name string) (family, bool) {
	for _, f := range families {
		if f.name == name {
			return f, true
		}
	}
	if generation.MatchString(name) {
		return families[0], true
	}
	return family{}, false
}

var generation = regexp.MustCompile(`^g1[a-z]$`)

func familyNames() (names []string) {
	for _, f := range families {
		names = append(names, f.name)
	}
	return names
}

// modelEndings are those of single files that hold a model.
var modelEndings = []string{".pth", ".safetensors", ".st", ".gguf", ".bin"}

func isModelFile(file string) bool {
	return slices.Contains(modelEndings, strings.ToLower(path.Ext(file)))
}

func modelEndingsText() string {
	last := len(modelEndings) - 1
	return strings.Join(modelEndings[:last], ", ") + " or " + modelEndings[last]
}

// published are the facts in the name of a published file, such as rwkv7-g1h-7.2b-20260710-ctx10240.pth.
type published struct {
	file       string
	generation string // such as g1h, "" for none
	size, date string // such as 7.2b and 20260710, "" for none
	context    int    // of the training, 0 for none
}

var (
	sizeWord    = regexp.MustCompile(`(?i)^([0-9]+(?:\.[0-9]+)?)b$`)
	oldSizeWord = regexp.MustCompile(`(?i)^([0-9]+)b([0-9]+)$`) // 1B5 is 1.5b
	dateWord    = regexp.MustCompile(`^20[0-9]{6}$`)
	contextWord = regexp.MustCompile(`(?i)^ctx([0-9]+)$`)
)

// publishedAs reads the name of a family's file.
func (f *family) publishedAs(file string) (p published, ok bool) {
	base := path.Base(file)
	m := f.file.FindStringSubmatch(base)
	if m == nil || !isModelFile(file) {
		return p, false
	}
	p.file, p.generation = file, strings.ToLower(m[1])
	for _, word := range strings.Split(strings.TrimSuffix(base, path.Ext(base)), "-") {
		if m := sizeWord.FindStringSubmatch(word); m != nil {
			p.size = m[1] + "b"
		} else if m := oldSizeWord.FindStringSubmatch(word); m != nil {
			p.size = m[1] + "." + m[2] + "b"
		} else if dateWord.MatchString(word) {
			p.date = word
		} else if m := contextWord.FindStringSubmatch(word); m != nil {
			p.context, _ = strconv.Atoi(m[1]) // digits only; too many are 0
		}
	}
	return p, p.size != ""
}

// compare orders by date, then by the length of the training's context, then by name.
func (p published) compare(q published) int {
	return cmp.Or(cmp.Compare(p.date, q.date), cmp.Compare(p.context, q.context), cmp.Compare(p.file, q.file))
}

// fits reports whether a file is one that a name of a family means.
func (n Name) fits(p published) bool {
	return p.size == n.Size && (n.Date == "" || p.date == n.Date) && (!generation.MatchString(n.Family) || p.generation == n.Family)
}

// newest returns the newest of the files that a name of a family means.
func (n Name) newest(files []string) (file string, ok bool) {
	f, is := familyOf(n.Family)
	if !is {
		return "", false
	}
	var best published
	for _, file := range files {
		if p, is := f.publishedAs(file); is && n.fits(p) && (!ok || p.compare(best) > 0) {
			best, ok = p, true
		}
	}
	return best.file, ok
}

// nameOf returns the shortest name for a file of a repository.
func nameOf(repo, file string) Name {
	for _, f := range families {
		if p, ok := f.publishedAs(file); ok && f.repo == repo && p.date != "" {
			return Name{Family: f.name, Size: p.size, Date: p.date}
		}
	}
	return Name{Repo: repo, File: file}
}
