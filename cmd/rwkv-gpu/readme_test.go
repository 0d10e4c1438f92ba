package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/load"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

// shellWords splits a command line as a shell does that has spaces, "...", '...' and $'...' with \n in it.
func shellWords(line string) (words []string) {
	var word strings.Builder
	quote, inWord := rune(0), false
	for _, r := range strings.ReplaceAll(line, "$'", "'") {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case quote == 0 && r == ' ':
			if inWord {
				words = append(words, strings.ReplaceAll(word.String(), `\n`, "\n"))
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	return append(words, strings.ReplaceAll(word.String(), `\n`, "\n"))
}

// standIns are small models of the names, versions, formats and vocabularies of those that the README names.
func standIns() map[string][]byte {
	size := weightstest.Size{Vocab: 65536, Embed: 16, Layers: 1, Head: 16, FFN: 16, W: 4, A: 4, V: 4, G: 4}
	pile, own := size, size
	pile.Vocab, own.Vocab = 50277, 270
	return map[string][]byte{
		"rwkv7-g1-0.1b.pth":            weightstest.Torch{}.File(weightstest.RWKV7(size, tensor.BF16, 1)),
		"RWKV-x060-World-1B6-v2.1.pth": weightstest.Torch{}.File(weightstest.RWKV("v6", size, tensor.BF16, 1)),
		"RWKV-4-Raven-1B5.pth":         weightstest.Torch{}.File(weightstest.RWKV("v4", pile, tensor.BF16, 1)),
		"rwkv7-0.4b-f16.gguf":          weightstest.GGUF(weightstest.LlamaMeta(own), weightstest.Llama(weightstest.RWKV7(own, tensor.F16, 1))),
	}
}

// The README's commands for downloaded models run, with the vocabularies that it says beside small models of those
// names.
func TestReadmeModels(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(reference.Root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(data), "Models run as they were downloaded:\n\n")
	if !ok {
		t.Fatal("README.md does not say how downloaded models run")
	}
	text, _, _ = strings.Cut(text, "\n\n")
	models := standIns()
	for name, vocabs := range map[string]func(*testing.T) [][]byte{
		"stand-ins": func(*testing.T) [][]byte { return [][]byte{worldOf(65530), bpeOf(50277)} },
		"published vocabularies": func(t *testing.T) (list [][]byte) {
			for _, name := range []string{load.WorldVocab, load.NeoXVocab} {
				data, err := os.ReadFile(reference.Shared(t, "vocab", name))
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, data)
			}
			return list
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := vocabs(t)
			t.Chdir(t.TempDir())
			all := map[string][]byte{load.WorldVocab: files[0], load.NeoXVocab: files[1]}
			for name, data := range models {
				all[name] = data
			}
			for name, data := range all {
				if err := os.WriteFile(name, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run := map[string]bool{}
			for line := range strings.Lines(text) {
				command, ok := strings.CutPrefix(strings.TrimSpace(line), "rwkv-gpu ")
				if !ok {
					continue
				}
				args := shellWords(command)
				for _, a := range args {
					run[a] = true
				}
				var got generated
				r := cli(append(args, "-n", "2", "--device", "cpu", "--json", "--quiet", "--seed", "1")...)
				if r.status != statusDone || r.stderr != "" {
					t.Errorf("%s: %s", command, r)
					continue
				}
				decode(t, r.stdout, &got)
				if got.PromptTokens < 3 {
					t.Errorf("%s: a prompt of %d tokens", command, got.PromptTokens)
				}
			}
			for name := range models {
				if !run[name] {
					t.Errorf("README.md has no command for %s", name)
				}
			}
		})
	}
}
