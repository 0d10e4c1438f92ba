package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/model"
	"github.com/rwkv-gpu/rwkv-gpu/model/demo"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights"
	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// openModel opens the model of --model, or the embedded one.
func (a *app) openModel() (*model.Model, error) {
	m, err := openModelFile(a.common.model, model.Options{GroupNormEps: float32(a.common.groupNormEps)})
	var eps *model.EpsError
	if errors.As(err, &eps) {
		return nil, usagef("--group-norm-eps", "%v", eps)
	}
	return m, blame(a.common.model, err)
}

func openModelFile(path string, o model.Options) (*model.Model, error) {
	if path != "" {
		return model.OpenWith(path, o)
	}
	f, err := weights.Parse(demo.Name, demo.Weights())
	if err != nil {
		return nil, err
	}
	return model.NewWith(f, o)
}

// vocabNames are the vocabulary files looked for, in this order, first beside the model file, then in dataDir.
var vocabNames = []string{"rwkv_vocab_v20230424.txt", "vocab.txt"}

// openTokenizer opens the vocabulary of --vocab or the one that is found, and checks it against m.
func (a *app) openTokenizer(m *model.Model) (tokenizer.Tokenizer, error) {
	t, path, err := a.findTokenizer()
	if err != nil {
		return nil, err
	}
	// A model's vocabulary is often rounded up: its last ids are then reserved.
	const reserved = 256
	if t.Size() > m.Vocab || t.Size() < m.Vocab-reserved {
		return nil, inputf(path, "want a vocabulary for the %d ids of %s, got one of %d ids", m.Vocab, m.File.Path, t.Size())
	}
	return t, nil
}

func (a *app) findTokenizer() (tokenizer.Tokenizer, string, error) {
	path := a.common.vocab
	if path == "" && a.common.model == "" {
		path = demo.Name + " vocabulary"
		t, err := tokenizer.ParseWorld(path, demo.Vocab())
		return t, path, err
	}
	if path == "" {
		var err error
		if path, err = findVocab(a.common.model); err != nil {
			return nil, "", err
		}
	}
	t, err := tokenizer.OpenWorld(path)
	return t, path, blame(path, err)
}

// findVocab returns the vocabulary file for a model file.
func findVocab(modelPath string) (string, error) {
	dirs := []string{filepath.Dir(modelPath)}
	if dir := dataDir(); dir != "" {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		for _, name := range vocabNames {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path, nil
			}
		}
	}
	return "", inputf(modelPath, "no vocabulary: want %s in %s, or --vocab FILE",
		strings.Join(vocabNames, " or "), strings.Join(dirs, " or "))
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
