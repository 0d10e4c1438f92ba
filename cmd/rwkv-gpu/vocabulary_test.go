package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/internal/reference"
	"github.com/rwkv-gpu/rwkv-gpu/model/tensor"
	"github.com/rwkv-gpu/rwkv-gpu/model/weights/weightstest"
)

func sized(ids int) weightstest.Size {
	return weightstest.Size{Vocab: ids, Embed: 16, Layers: 1, Head: 16, FFN: 16, W: 4, A: 4, V: 4, G: 4}
}

// modelOf writes a model of that many ids.
func modelOf(t *testing.T, ids int) string {
	t.Helper()
	return writeFile(t, "model.st", weightstest.Safetensors(weightstest.RWKV7(sized(ids), tensor.F16, 1), nil))
}

// worldOf is a World vocabulary of size ids: the bytes, then X1000000 and up.
func worldOf(size int) []byte {
	var b strings.Builder
	for id := 1; id < size; id++ {
		if id <= 256 {
			fmt.Fprintf(&b, "%d b'\\x%02x' 1\n", id, id-1)
		} else {
			fmt.Fprintf(&b, "%d 'X%d' 8\n", id, 1000000+id)
		}
	}
	return []byte(b.String())
}

// bpeOf is a byte-level BPE of size ids in which byte c has id c+1 and "ab" the last one.
func bpeOf(size int) []byte {
	var b strings.Builder
	next := rune(0x100)
	for c := range 256 {
		r := rune(c)
		if c < '!' || c > '~' && c < 0xa1 || c == 0xad {
			r = next
			next++
		}
		fmt.Fprintf(&b, "%q:%d,", r, c+1)
	}
	chars := strings.NewReplacer("'\\''", `"'"`, "'\"'", `"\""`, "'\\\\'", `"\\"`, "'", `"`).Replace(b.String())
	return fmt.Appendf(nil, `{"added_tokens":[{"id":0,"content":"<|endoftext|>"}],"normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"ByteLevel"},
		"model":{"type":"BPE","vocab":{%s"ab":%d},"merges":["a b"]}}`, chars, size-1)
}

func wantTokens(t *testing.T, want string, args ...string) {
	t.Helper()
	if r := cli(append([]string{"tokenize"}, args...)...); r.status != statusDone || r.stdout != want+"\n" {
		t.Errorf("tokenize %q: want %s, got %s", args, want, r)
	}
}

// put writes a file that is gone after do.
func put(t *testing.T, path string, data []byte, do func()) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	do()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// A file of --vocab is what its content says, whatever its name.
func TestVocabularyByContent(t *testing.T) {
	bpe, world := writeFile(t, "rwkv_vocab_v20230424.txt", bpeOf(300)), writeFile(t, "20B_tokenizer.json", worldOf(300))
	wantTokens(t, "299,100,0", "abc<|endoftext|>", "--vocab", bpe)
	wantTokens(t, "98,99,100", "abc", "--vocab", world)
	model := modelOf(t, 300)
	wantTokens(t, "299,100", "abc", "--vocab", bpe, "--model", model)
	wantTokens(t, "98,99,100", "abc", "--vocab", world, "--model", model)
	if r := cli("tokenize", "--decode", "299,100,0", "--vocab", bpe); r.stdout != "abc<|endoftext|>" {
		t.Error(r)
	}
	wantError(t, cli("tokenize", "x", "--vocab", writeFile(t, "t.json", []byte(`{"model":5}`))), statusInput, "t.json: line 1: model: want an object, got number")
}

// Without --vocab a vocabulary inside the model file goes before the files beside it.
func TestVocabularyInside(t *testing.T) {
	s := sized(300)
	data := weightstest.GGUF(weightstest.LlamaMeta(s), weightstest.Llama(weightstest.RWKV7(s, tensor.F32, 1)))
	path := writeFile(t, "model.gguf", data)
	bpe := bpeOf(300)
	put(t, filepath.Join(filepath.Dir(path), "20B_tokenizer.json"), bpe, func() { wantTokens(t, "98,99,100", "abc", "--model", path) })
	wantTokens(t, "299,100", "abc", "--model", path, "--vocab", writeFile(t, "b.json", bpe))

	small := sized(67)
	path = writeFile(t, "small.gguf", weightstest.GGUF(weightstest.LlamaMeta(small), weightstest.Llama(weightstest.RWKV7(small, tensor.F32, 1))))
	wantTokens(t, "66,1,34", "A\x00!", "--model", path)
	wantError(t, cli("tokenize", "AxA", "--model", path), statusUsage, `prompt: byte "x" at offset 1`, "small.gguf: vocabulary inside")
}

func TestVocabularyOfBytes(t *testing.T) {
	model := modelOf(t, 256)
	put(t, filepath.Join(filepath.Dir(model), "tokenizer.json"), bpeOf(256+3), func() { wantTokens(t, "97,195,169,0", "aé\x00", "--model", model) })
	put(t, filepath.Join(filepath.Dir(model), "vocab.txt"), []byte("1 'A' 1\n2 'B' 1\n"), func() { wantTokens(t, "1,2", "AB", "--model", model) })
	if r := cli("generate", "Once", "--model", model, "--device", "cpu", "--quiet", "-n", "2"); r.status != statusDone {
		t.Error(r)
	}
	wantError(t, cli("tokenize", "x", "--model", model, "--vocab", writeFile(t, "w.txt", worldOf(600))), statusInput, "256 ids", "got one of 600 ids")
}

// The files are tried in their order, first beside the model, and those that do not fit are passed over.
func TestVocabularyFound(t *testing.T) {
	model := modelOf(t, 600)
	beside := func(name string) string { return filepath.Join(filepath.Dir(model), name) }
	data := func(name string) string { return filepath.Join(os.Getenv("XDG_DATA_HOME"), "rwkv-gpu", name) }
	const world, bpe = "98,99", "599"
	put(t, data("vocab.txt"), worldOf(600), func() {
		wantTokens(t, world, "ab", "--model", model)
		put(t, beside("tokenizer.json"), bpeOf(600), func() {
			wantTokens(t, bpe, "ab", "--model", model)
			put(t, beside("vocab.txt"), worldOf(600), func() {
				wantTokens(t, world, "ab", "--model", model)
				put(t, beside("rwkv_vocab_v20230424.txt"), bpeOf(600), func() { wantTokens(t, bpe, "ab", "--model", model) })
				put(t, beside("rwkv_vocab_v20230424.txt"), worldOf(900), func() { wantTokens(t, world, "ab", "--model", model) })
			})
			put(t, beside("20B_tokenizer.json"), []byte("{}"), func() { wantTokens(t, bpe, "ab", "--model", model) })
		})
	})
	put(t, beside("20B_tokenizer.json"), bpeOf(900), func() {
		put(t, beside("tokenizer.json"), []byte("{\n"), func() {
			wantError(t, cli("tokenize", "x", "--model", model), statusInput, model+": no vocabulary for the model's 600 ids",
				beside("20B_tokenizer.json")+" has 900 ids", "tokenizer.json: line 2: JSON", "--vocab FILE", filepath.Dir(data("x")))
		})
	})
}

// An error says which file a published size needs and where it was looked for.
func TestVocabularyWanted(t *testing.T) {
	for _, c := range []struct {
		ids        int
		name, not  string
		vocabulary []byte
		tokens     string
	}{
		{65536, "rwkv_vocab_v20230424.txt", "20B", worldOf(65530), "98,99"},
		{50277, "20B_tokenizer.json", "v20230424", bpeOf(50277), "50276"},
	} {
		model := modelOf(t, c.ids)
		r := cli("generate", "x", "--model", model, "--device", "cpu", "--quiet")
		wantError(t, r, statusInput, fmt.Sprintf("no vocabulary for the model's %d ids: want %s in %s or %s", c.ids, c.name, filepath.Dir(model),
			filepath.Join(os.Getenv("XDG_DATA_HOME"), "rwkv-gpu")))
		if strings.Contains(r.stderr, c.not) {
			t.Errorf("%d ids: another vocabulary is named: %s", c.ids, r.stderr)
		}
		wantError(t, cli("tokenize", "x", "--model", model, "--vocab", writeFile(t, "w.txt", worldOf(400))), statusInput,
			fmt.Sprintf("w.txt: want a vocabulary for the %d ids of %s, which %s is, got one of 400 ids", c.ids, model, c.name))
		put(t, filepath.Join(filepath.Dir(model), c.name), c.vocabulary, func() { wantTokens(t, c.tokens, "ab", "--model", model) })
	}
}

// The published files do what a model of their size needs.
func TestVocabularyPublished(t *testing.T) {
	wantTokens(t, "12092,1533", "Hello world", "--vocab", reference.Shared(t, "vocab", "20B_tokenizer.json"), "--model", modelOf(t, 50277))
	wantTokens(t, "33155,40213", "Hello world", "--vocab", reference.Shared(t, "vocab", "rwkv_vocab_v20230424.txt"), "--model", modelOf(t, 65536))
}

// info counts the types of blocks too.
func TestInfoOfBlocks(t *testing.T) {
	s := sized(256)
	s.Embed, s.FFN = 32, 32
	list := weightstest.RWKV7(s, tensor.F32, 1)
	for i, x := range list {
		if x.Name == "blocks.0.ffn.key.weight" || x.Name == "head.weight" {
			list[i] = weightstest.Blocks(x.Name, tensor.Q8_0, 1, x.Shape...)
		}
	}
	path := writeFile(t, "q.gguf", weightstest.GGUF(weightstest.LlamaMeta(s), weightstest.Llama(list)))
	if r := cli("info", "--model", path); r.status != statusDone || !strings.Contains(r.stdout, ", 2 Q8_0\n") {
		t.Error(r)
	}
}

// A list of few tokens does for the texts that it can spell; for others the byte is named, whose fault it is.
func TestVocabularyOfFewTokens(t *testing.T) {
	model := modelOf(t, 6)
	args := func(text string, more ...string) []string {
		return append([]string{text, "--model", model, "--device", "cpu", "--quiet"}, more...)
	}
	const game = "1 'A' 1\n2 'B' 1\n3 'C ' 2\n4 '\\n' 1\n5 '○ ' 4"
	put(t, filepath.Join(filepath.Dir(model), "vocab.txt"), []byte(game), func() {
		wantTokens(t, "1,2,3", args("ABC ")...)
		wantTokens(t, "1,2,3,5,4", args("ABC ○ \n")...)
		wantTokens(t, "", args("")...)
		if r := cli("tokenize", "--decode", "3,5,1", "--model", model); r.stdout != "C ○ A" {
			t.Error(r)
		}
		if r := cli(append([]string{"generate"}, args("ABC ", "-n", "5")...)...); r.status != statusDone {
			t.Error(r)
		}
		if r := cli(append([]string{"logits", "--prompt"}, args("AB")...)...); r.status != statusDone {
			t.Error(r)
		}
		for _, command := range [][]string{{"tokenize"}, {"generate"}, {"logits", "--prompt"}} {
			wantError(t, cli(append(command, args("ABC")...)...), statusUsage, `prompt: byte "C" at offset 2: the vocabulary vocab has no token for it`)
		}
		for _, command := range [][]string{{"generate"}, {"logits", "--prompt"}} { // before any device is looked for
			wantError(t, cli(append(command, "ABC", "--model", model, "--device", "99")...), statusUsage, `prompt: byte "C" at offset 2`)
		}
	})
}

// A model of 256 ids has bytes for tokens where no vocabulary lies beside it. One that is passed over is said.
func TestVocabularyPassedOver(t *testing.T) {
	model := modelOf(t, 256)
	path := filepath.Join(filepath.Dir(model), "vocab.txt")
	tokenize := func() answer { return cli("tokenize", "ab", "--model", model) }
	if r := tokenize(); r.status != statusDone || r.stdout != "97,98\n" || r.stderr != "" {
		t.Error(r)
	}
	for why, data := range map[string][]byte{path + ": line 1: ": []byte("broken"), path + " has 900 ids": worldOf(900)} {
		put(t, path, data, func() {
			r := tokenize()
			if r.status != statusDone || r.stdout != "97,98\n" || strings.Count(r.stderr, "\n") != 1 ||
				!strings.HasPrefix(r.stderr, model+": no vocabulary for the model's 256 ids: ") || !strings.Contains(r.stderr, why) || !strings.HasSuffix(r.stderr, ": tokens are bytes\n") {
				t.Errorf("want a notice of %q, got %s", why, r)
			}
		})
	}
}

// The field's case: a model of a game with its list beside it.
func TestVocabularyOfGame(t *testing.T) {
	model := reference.Shared(t, "field", "world-list-without-all-bytes", "game.pth")
	wantTokens(t, "1,2,3", "ABC ", "--model", model)
	wantTokens(t, "1,2,3,5,4", "ABC ○ \n", "--model", model)
	if r := cli("generate", "ABC ", "-n", "4", "--model", model, "--device", "cpu", "--quiet"); r.status != statusDone {
		t.Error(r)
	}
	wantError(t, cli("generate", "ABX", "-n", "4", "--model", model, "--device", "cpu", "--quiet"), statusUsage, `prompt: byte "X" at offset 2`)
}

// A GGUF file's vocabulary gives text however its tokens are typed, or not.
func TestVocabularyTypes(t *testing.T) {
	s := sized(300)
	list := weightstest.Llama(weightstest.RWKV7(s, tensor.F32, 1))
	for name, edit := range map[string]func(meta []weightstest.KV) []weightstest.KV{
		"as written": func(meta []weightstest.KV) []weightstest.KV { return meta },
		"no types":   func(meta []weightstest.KV) []weightstest.KV { return meta[:len(meta)-1] },
		"token 0 is text": func(meta []weightstest.KV) []weightstest.KV {
			meta[len(meta)-1].Value.([]int32)[0] = 1
			return meta
		},
		"token 0 is text of another name": func(meta []weightstest.KV) []weightstest.KV {
			meta[len(meta)-1].Value.([]int32)[0] = 1
			meta[len(meta)-2].Value.([]string)[0] = "<|endoftext|>"
			return meta
		},
	} {
		path := writeFile(t, "m.gguf", weightstest.GGUF(edit(weightstest.LlamaMeta(s)), list))
		if r := cli("tokenize", "abc[PAD260]<s>", "--model", path); r.status != statusDone || r.stdout != "98,99,100,92,81,66,69,51,55,49,94,61,116,63\n" {
			t.Errorf("%s: %s", name, r)
		}
		if r := cli("tokenize", "--decode", "98,0,99", "--model", path); r.stdout != "ab" {
			t.Errorf("%s: %s", name, r)
		}
		if r := cli("generate", "abc", "-n", "3", "--model", path, "--device", "cpu", "--quiet"); r.status != statusDone {
			t.Errorf("%s: %s", name, r)
		}
	}
}
