package hub

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/hub/fetch"
)

// vocabulary is a published vocabulary, which many models have.
type vocabulary struct {
	name   string
	size   int64
	sum    string   // SHA-256
	hub    string   // its path at the hub, "" for none
	others []string // addresses
}

var (
	world = vocabulary{"rwkv_vocab_v20230424.txt", 1093733, "e6dee3d4e31b4d5c40ac99508ac6c701ceef4bed681bf2167ce9a908552bca89", "",
		[]string{"https://raw.githubusercontent.com/BlinkDL/ChatRWKV/main/tokenizer/rwkv_vocab_v20230424.txt"}}
	neoX = vocabulary{"20B_tokenizer.json", 2467981, "56ac4821e129d2c520fdaba60abd920fa852ada51b45c0dd52bbb6bd8c985ade",
		"spaces/BlinkDL/Raven-RWKV-7B/resolve/main/20B_tokenizer.json",
		[]string{"https://raw.githubusercontent.com/BlinkDL/RWKV-LM/main/RWKV-v4/20B_tokenizer.json"}}
)

// isVocabulary reports whether a file of a repository is a vocabulary that a model beside it has.
func isVocabulary(file string) bool {
	switch file {
	case world.name, neoX.name, "rwkv_vocab_v20230424.json", "vocab.txt", "tokenizer.json":
		return true
	}
	return false
}

// isPublishedVocabulary reports whether a file is a vocabulary that models find in VocabDir too.
func isPublishedVocabulary(file string) bool { return file == world.name || file == neoX.name }

// vocabulary returns the path of the published vocabulary of a model without one of its own. It fetches the vocabulary
// to VocabDir if it is not there. A vocabulary that does not come is a notice: the model is there all the same. The error
// is that of ctx.
func (h *Hub) vocabulary(ctx context.Context, n Name, model string) (string, error) {
	v := world
	if f, ok := familyOf(n.Family); ok {
		v = f.vocab
	}
	base := strings.ToLower(filepath.Base(model))
	if strings.HasPrefix(base, "rwkv-4-") && !strings.Contains(base, "world") {
		v = neoX
	}
	if strings.HasSuffix(base, ".gguf") || h.VocabDir == "" { // which brings its own
		return "", nil
	}
	if beside := filepath.Join(filepath.Dir(model), v.name); isFile(beside) {
		return beside, nil
	}
	target := filepath.Join(h.VocabDir, v.name)
	if isFile(target) {
		return target, nil
	}
	f := fetch.File{Name: v.name, Size: v.size, Sum: fetch.Sum{SHA256: v.sum}}
	if v.hub != "" {
		f.Sources = append(f.Sources, fetch.Source{URL: h.endpoint() + "/" + v.hub})
	}
	for _, address := range v.others {
		f.Sources = append(f.Sources, fetch.Source{URL: address})
	}
	o := h.Fetch
	o.Attempts, o.Connections = 2*len(f.Sources), 1
	if _, err := fetch.Fetch(ctx, o, f, target, target, filepath.Join(h.VocabDir, ".locks", v.name+".lock")); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		h.notice("the vocabulary %s did not come (%v): put it beside the model, or name it by --vocab", v.name, err)
		return "", nil
	}
	return target, nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
