package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// vocabNames are the vocabulary files looked for, in this order, first beside the model file, then in dataDir.
var vocabNames = []string{worldVocab, "vocab.txt", neoxVocab, "tokenizer.json", "rwkv_vocab_v20230424.json"}

// The two vocabularies that published models have.
const (
	worldVocab = "rwkv_vocab_v20230424.txt"
	neoxVocab  = "20B_tokenizer.json"
)

// reserved is how many ids a model may have beyond its vocabulary: sizes are often rounded up.
const reserved = 256

// fits says whether a vocabulary of size ids can be that of a model of want ids.
func fits(size, want int) bool { return size <= want && size >= want-reserved }

// wantedVocab names the files of which one may hold the vocabulary of a model of size ids.
func wantedVocab(size int) string {
	switch {
	case fits(65530, size):
		return worldVocab
	case fits(50277, size):
		return neoxVocab
	}
	return strings.Join(vocabNames, " or ")
}

// openTokenizer opens the tokenizer of m: the file of --vocab; else what came inside the model file; else the first file
// of vocabNames that fits, unless the model has 256 ids and none lies beside it: then they are bytes.
func (a *app) openTokenizer(m *model.Model) (tokenizer.Tokenizer, error) {
	path := m.File.Path
	var t tokenizer.Tokenizer
	var err error
	switch {
	case a.common.vocab != "" || a.common.model == "":
		t, path, err = a.findTokenizer()
	case m.File.Vocab != nil:
		path += ": vocabulary inside"
		if isBytes(m.File.Vocab) {
			t = tokenizer.Bytes{}
		} else if w, fault := tokenizer.NewWorld(path, m.File.Vocab); fault != nil {
			err = fault
		} else {
			t = w
		}
	case m.Vocab == tokenizer.Bytes{}.Size():
		beside, passed, err := findVocab(path, m.Vocab, []string{filepath.Dir(path)})
		if err == nil {
			return beside, nil
		}
		if len(passed) > 0 {
			a.notice("%v: tokens are bytes", err)
		}
		t = tokenizer.Bytes{}
	default:
		dirs := []string{filepath.Dir(path)}
		if dir := dataDir(); dir != "" {
			dirs = append(dirs, dir)
		}
		t, _, err := findVocab(path, m.Vocab, dirs)
		return t, err
	}
	if err != nil {
		return nil, blame(path, err)
	}
	if !fits(t.Size(), m.Vocab) {
		wanted := ""
		if name := wantedVocab(m.Vocab); name == worldVocab || name == neoxVocab {
			wanted = ", which " + name + " is"
		}
		return nil, inputf(path, "want a vocabulary for the %d ids of %s%s, got one of %d ids", m.Vocab, m.File.Path, wanted, t.Size())
	}
	return t, nil
}

// isBytes tells whether a vocabulary is that of the byte-level tokenizer, which has no id for the end of a document.
func isBytes(vocab [][]byte) bool {
	for id, token := range vocab {
		if len(token) != 1 || token[0] != byte(id) {
			return false
		}
	}
	return len(vocab) == tokenizer.Bytes{}.Size()
}

// findTokenizer opens the vocabulary of --vocab, or the embedded model's, and says where it is from.
func (a *app) findTokenizer() (tokenizer.Tokenizer, string, error) {
	path := a.common.vocab
	if path == "" {
		path = demo.Name + " vocabulary"
		t, err := tokenizer.ParseWorld(path, demo.Vocab())
		return t, path, err
	}
	t, err := tokenizer.Open(path)
	return t, path, blame(path, err)
}

// findVocab opens the vocabulary file for a model file of size ids, from the first folder that has one. A file that does not
// fit is passed over, also one that cannot be read: beside a model may lie the tokenizer.json of some other program. passed
// says why, of each.
func findVocab(modelPath string, size int, dirs []string) (t tokenizer.Tokenizer, passed []string, err error) {
	for _, dir := range dirs {
		for _, name := range vocabNames {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
				continue
			}
			t, err := tokenizer.Open(path)
			if err == nil && fits(t.Size(), size) {
				return t, nil, nil
			}
			if err != nil {
				passed = append(passed, oneLine(blame(path, err).Error()))
				continue
			}
			passed = append(passed, fmt.Sprintf("%s has %d ids", path, t.Size()))
		}
	}
	found := ""
	if len(passed) > 0 {
		found = " (" + strings.Join(passed, "; ") + ")"
	}
	return nil, passed, inputf(modelPath, "no vocabulary for the model's %d ids: want %s in %s, or --vocab FILE%s",
		size, wantedVocab(size), strings.Join(dirs, " or "), found)
}

// dataDir returns where a user's vocabularies may lie, or "" where the environment does not say.
func dataDir() string {
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
