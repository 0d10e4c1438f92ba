package prompt

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Model is what a model file tells of itself.
type Model struct {
	Name    string            // of the file, with its folders if it has any
	Version string            // a v and the generation, and maybe more, such as v7a
	Vocab   int               // size of the vocabulary
	Meta    map[string]string // annotations of the file
}

// Choice is a dialect for a model.
type Choice struct {
	Dialect *Dialect
	Date    int    // of the model as yyyymmdd, 0 if nothing tells it; for Options.Date
	Why     string // what decided, for people
}

// Annotations of GGUF files and of config.json that tell what a model is.
var (
	nameKeys     = []string{"general.name", "general.basename", "general.finetune", "config._name_or_path"}
	templateKeys = []string{"tokenizer.chat_template", "tokenizer_config.chat_template", "config.chat_template"}
)

// plain matches names of files that tell nothing: the folder has the model's name.
var plain = regexp.MustCompile(`^(model|pytorch_model|consolidated)[.-]`)

// storyteller is the name that the embedded model's file has in its annotations.
const storyteller = "rwkv-gpu storyteller"

// families are words in the names of models. The first that a name has decides.
var families = []struct {
	word    *regexp.Regexp
	dialect string
}{
	{regexp.MustCompile(`raven`), Raven},
	{regexp.MustCompile(`(^|[^a-z0-9])g[01][a-z0-9]{0,2}($|[^a-z0-9])`), G1}, // G0, G1, G1a, G1a2, … of RWKV-7
	{regexp.MustCompile(`(^|[^a-z])world($|[^a-z])`), World},
}

// Choose returns the dialect for a model: by the chat template inside its file, by its name, by its vocabulary, and
// last by its version. Name and annotations also tell the model's date.
func Choose(m Model) Choice {
	path := filepath.ToSlash(m.Name)
	names := []string{filepath.Base(path)}
	if plain.MatchString(names[0]) {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	for _, key := range nameKeys {
		if m.Meta[key] != "" {
			names = append(names, m.Meta[key])
		}
	}
	c := Choice{}
	for _, name := range names {
		if c.Date == 0 {
			c.Date = date(name)
		}
	}
	c.Dialect, c.Why = m.dialect(names)
	return c
}

// neoxVocab is the size of the GPT-NeoX vocabulary, which RWKV-4 models of the Pile and Raven have.
const neoxVocab = 50277

func (m *Model) dialect(names []string) (d *Dialect, why string) {
	for _, key := range templateKeys {
		t := m.Meta[key]
		switch bot, plain := strings.Contains(t, "✿"), strings.Contains(t, "Assistant"); {
		case bot && !plain:
			return named(Bot), "the chat template of the file"
		case strings.Contains(t, "### User") && !bot && !strings.Contains(t, "User:"):
			return named(G1Markdown), "the chat template of the file"
		}
	}
	for _, name := range names {
		if name == storyteller {
			return storytelling(), "the name " + strconv.Quote(name)
		}
		for _, f := range families {
			if f.word.MatchString(strings.ToLower(name)) {
				return m.grown(f.dialect), "the name " + strconv.Quote(name)
			}
		}
	}
	switch {
	case m.Vocab >= neoxVocab && m.Vocab < neoxVocab+256:
		return named(Raven), "the vocabulary of the Pile"
	case m.Version == "":
		return named(G1), "nothing: the dialect of newer models"
	case m.old():
		return named(World), "the version " + m.Version
	}
	return named(G1), "the version " + m.Version
}

// storytelling returns the dialect of the embedded model: G1, with other settings, since G1 models are much larger.
func storytelling() *Dialect {
	d := *named(G1)
	d.Preset = "story"
	return &d
}

// old reports whether the model is of RWKV-6 or before.
func (m *Model) old() bool {
	found := generation.FindString(m.Version)
	n, err := strconv.Atoi(strings.TrimPrefix(found, "v"))
	return err == nil && n <= 6
}

var generation = regexp.MustCompile(`^v[0-9]+`)

// grown returns the dialect of a family. World models of RWKV-7 need no greetings, and are written as G1.
func (m *Model) grown(name string) *Dialect {
	if name == World && m.Version != "" && !m.old() {
		name = G1
	}
	return named(name)
}

// dates matches dates in names of models, such as 20250922, and 250922 in those of converted files.
var dates = regexp.MustCompile(`(?:^|[^0-9])((?:20)?2[0-9](?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01]))(?:$|[^0-9])`)

// date returns the date in a name as yyyymmdd, or 0.
func date(name string) int {
	found := dates.FindStringSubmatch(name)
	if found == nil {
		return 0
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		return 0
	}
	if n < 1_000_000 {
		n += 20_000_000
	}
	return n
}
