package load

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// The two vocabularies that published models have.
const (
	WorldVocab = "rwkv_vocab_v20230424.txt"
	NeoXVocab  = "20B_tokenizer.json"
)

// vocabNames are the vocabulary files looked for, in this order, first beside the model file, then in DataDir.
var vocabNames = []string{WorldVocab, "vocab.txt", NeoXVocab, "tokenizer.json", "rwkv_vocab_v20230424.json"}

// reserved is how many ids a model may have beyond its vocabulary: sizes are often rounded up.
const reserved = 256

// fits reports whether a vocabulary of size ids can be that of a model of want ids.
func fits(size, want int) bool { return size <= want && size >= want-reserved }

// published names the published vocabulary of models of size ids, "" if there is none.
func published(size int) string {
	switch {
	case fits(65530, size):
		return WorldVocab
	case fits(50277, size):
		return NeoXVocab
	}
	return ""
}

// Vocabulary opens the vocabulary of Options.Vocab without a model, or the embedded model's if that is "".
func Vocabulary(o Options) (tokenizer.Tokenizer, error) {
	t, _, err := o.vocabulary()
	return t, err
}

// vocabulary is Vocabulary, and returns where the vocabulary is from.
func (o *Options) vocabulary() (tokenizer.Tokenizer, string, error) {
	if o.Vocab != "" {
		t, err := tokenizer.Open(o.Vocab)
		return t, o.Vocab, inFile(Vocab, o.Vocab, err)
	}
	const path = demo.Name + " vocabulary"
	t, err := tokenizer.ParseWorld(path, demo.Vocab())
	return t, path, inFile(Vocab, path, err)
}

// Tokenizer opens the model's vocabulary: the file of Options.Vocab, else the one inside the model's file, else the
// first file of a known name that fits, beside the model or in the user's data directory. If no vocabulary lies beside
// a model of 256 ids, its tokens are bytes.
func (m *Opened) Tokenizer() (tokenizer.Tokenizer, error) {
	path := m.File.Path
	switch {
	case m.options.Vocab != "" || m.options.Model == "":
		t, from, err := m.options.vocabulary()
		return m.fitting(t, from, err)
	case m.File.Vocab != nil:
		return m.inside()
	case m.Vocab == tokenizer.Bytes{}.Size():
		t, err := findVocab(path, m.Vocab, []string{filepath.Dir(path)})
		if err == nil {
			return t, nil
		}
		if len(err.passed) > 0 {
			m.options.notice(Notice{Text: err.Error() + ": tokens are bytes", Input: Vocab})
		}
		return tokenizer.Bytes{}, nil
	}
	dirs := []string{filepath.Dir(path)}
	if dir := DataDir(); dir != "" {
		dirs = append(dirs, dir)
	}
	t, err := findVocab(path, m.Vocab, dirs)
	if err != nil {
		return nil, &FileError{Input: Vocab, Err: err, Advice: true}
	}
	return t, nil
}

// inside returns the vocabulary inside the model's file.
func (m *Opened) inside() (tokenizer.Tokenizer, error) {
	path := m.File.Path + ": vocabulary inside"
	if isBytes(m.File.Vocab) {
		return m.fitting(tokenizer.Bytes{}, path, nil)
	}
	t, err := tokenizer.NewWorld(path, m.File.Vocab)
	return m.fitting(t, path, inFile(Vocab, path, err))
}

// fitting returns a vocabulary that fits the model.
func (m *Opened) fitting(t tokenizer.Tokenizer, path string, err error) (tokenizer.Tokenizer, error) {
	if err != nil || fits(t.Size(), m.Vocab) {
		return t, err
	}
	wanted := ""
	if name := published(m.Vocab); name != "" {
		wanted = ", which " + name + " is"
	}
	return nil, &FileError{Input: Vocab, Path: path,
		Err: fmt.Errorf("want a vocabulary for the %d ids of %s%s, got one of %d ids", m.Vocab, m.File.Path, wanted, t.Size())}
}

// isBytes reports whether a vocabulary is that of the byte-level tokenizer. It has no id for the end of a document.
func isBytes(vocab [][]byte) bool {
	for id, token := range vocab {
		if len(token) != 1 || token[0] != byte(id) {
			return false
		}
	}
	return len(vocab) == tokenizer.Bytes{}.Size()
}

// noVocabularyError says that no vocabulary was found for a model.
type noVocabularyError struct {
	model  string   // its file
	size   int      // how many ids it has
	wanted string   // names of the wanted files
	dirs   []string // where
	passed []string // files that were found and do not fit, and why
}

func (e *noVocabularyError) Error() string {
	found := ""
	if len(e.passed) > 0 {
		found = " (" + strings.Join(e.passed, "; ") + ")"
	}
	return fmt.Sprintf("%s: no vocabulary for the model's %d ids: want %s in %s%s", e.model, e.size, e.wanted, strings.Join(e.dirs, " or "), found)
}

// findVocab opens the vocabulary file for a model file of size ids, from the first folder that has one. It passes over
// files that do not fit or cannot be read: the tokenizer.json beside a model may be some other program's.
func findVocab(modelPath string, size int, dirs []string) (tokenizer.Tokenizer, *noVocabularyError) {
	none := &noVocabularyError{model: modelPath, size: size, wanted: published(size), dirs: dirs}
	if none.wanted == "" {
		none.wanted = strings.Join(vocabNames, " or ")
	}
	for _, dir := range dirs {
		for _, name := range vocabNames {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				continue
			}
			t, err := tokenizer.Open(path)
			switch {
			case err != nil:
				none.passed = append(none.passed, inFile(Vocab, path, err).Error())
			case !fits(t.Size(), size):
				none.passed = append(none.passed, fmt.Sprintf("%s has %d ids", path, t.Size()))
			default:
				return t, nil
			}
		}
	}
	return nil, none
}

// DataDir returns where a user's vocabularies may lie, or "" if the environment does not say.
func DataDir() string {
	const name = "rwkv-gpu"
	home, err := os.UserHomeDir()
	switch {
	case runtime.GOOS == "windows":
		if dir := os.Getenv("LocalAppData"); dir != "" {
			return filepath.Join(dir, name)
		}
		return ""
	case filepath.IsAbs(os.Getenv("XDG_DATA_HOME")):
		return filepath.Join(os.Getenv("XDG_DATA_HOME"), name)
	case err != nil:
		return ""
	case runtime.GOOS == "darwin":
		return filepath.Join(home, "Library", "Application Support", name)
	}
	return filepath.Join(home, ".local", "share", name)
}
