package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of a tokenizer.json. The published one has 2.5 MB, 50277 tokens and 25 added ones.
const (
	maxJSON  = 16 << 20 // bytes
	maxAdded = 4096
)

// bpeFields are the fields that are read of a tokenizer.json. Pointers tell null and absent from false.
type bpeFields struct {
	Added        []addedFields `json:"added_tokens"`
	Normalizer   *typed        `json:"normalizer"`
	PreTokenizer *typed        `json:"pre_tokenizer"`
	Model        *struct {
		Type         string            `json:"type"`
		Dropout      *float64          `json:"dropout"`
		Prefix       string            `json:"continuing_subword_prefix"`
		Suffix       string            `json:"end_of_word_suffix"`
		ByteFallback bool              `json:"byte_fallback"`
		IgnoreMerges bool              `json:"ignore_merges"`
		Vocab        map[string]int    `json:"vocab"`
		Merges       []json.RawMessage `json:"merges"`
	} `json:"model"`
}

type typed struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	UseRegex       *bool  `json:"use_regex"`
}

type addedFields struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
}

// ParseBPE reads a tokenizer.json of Hugging Face's tokenizers from data; name stands for the file in errors and is the
// tokenizer's Name. Wanted are a model BPE, a pre_tokenizer ByteLevel without a prefix space, no normalizer or NFC, and
// added tokens that take no blanks with them; other files are refused, since their ids would differ. A fault in data is
// an [*Error]. data is not kept.
func ParseBPE(name string, data []byte) (*BPE, error) {
	t := &BPE{name: name}
	fault := t.parse(data)
	if fault != nil {
		fault.File = name
		return nil, fault
	}
	return t, nil
}

func (t *BPE) parse(data []byte) *Error {
	if len(data) > maxJSON {
		return &Error{Field: "size", Want: fmt.Sprintf("at most %d bytes", maxJSON), Got: "more"}
	}
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	var f bpeFields
	if err := json.Unmarshal(data, &f); err != nil {
		return jsonFault(data, err)
	}
	if fault := f.check(); fault != nil {
		return fault
	}
	t.nfc = f.Normalizer != nil
	if fault := t.addVocabulary(f.Model.Vocab); fault != nil {
		return fault
	}
	if fault := t.addMerges(f.Model.Vocab, f.Model.Merges); fault != nil {
		return fault
	}
	return t.addAdded(f.Added)
}

// jsonFault turns a fault that encoding/json found into an Error.
func jsonFault(data []byte, err error) *Error {
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	line := func(offset int64) int {
		return 1 + bytes.Count(data[:min(max(offset, 0), int64(len(data)))], []byte("\n"))
	}
	switch {
	case errors.As(err, &syntax):
		return &Error{Line: line(syntax.Offset), Field: "JSON", Want: "a valid document", Got: oneLine40(syntax.Error())}
	case errors.As(err, &mismatch):
		field := mismatch.Field
		if field == "" {
			field = "JSON"
		}
		return &Error{Line: line(mismatch.Offset), Field: oneLine40(field), Want: jsonKind(mismatch.Type.Kind().String()), Got: oneLine40(mismatch.Value)}
	}
	return &Error{Field: "JSON", Want: "a valid document", Got: oneLine40(err.Error())}
}

// jsonKind returns JSON's name of a kind of Go.
func jsonKind(kind string) string {
	switch kind {
	case "struct", "map", "ptr":
		return "an object"
	case "slice":
		return "an array"
	case "bool":
		return "true or false"
	case "int":
		return "a whole number"
	case "float64":
		return "a number"
	}
	return "a " + kind
}

// oneLine40 returns text from a file for one line of an error: as it is if it is harmless, else quoted and cut.
func oneLine40(s string) string {
	if len(s) <= 80 && strconv.Quote(s) == `"`+strings.ReplaceAll(s, `"`, `\"`)+`"` {
		return s
	}
	return excerpt(s)
}

// check returns an error for anything but the byte-level BPE that BPE implements.
func (f *bpeFields) check() *Error {
	want := func(field, want, got string) *Error { return &Error{Field: field, Want: want, Got: got} }
	if f.Model == nil {
		return want("model", "an object (a tokenizer.json), or tokens by id", "none")
	}
	p := f.PreTokenizer
	switch m := f.Model; {
	case m.Type != "" && m.Type != "BPE":
		return want("model.type", `"BPE"`, excerpt(m.Type))
	case m.Dropout != nil && *m.Dropout != 0:
		return want("model.dropout", "none", fmt.Sprint(*m.Dropout))
	case m.Prefix != "":
		return want("model.continuing_subword_prefix", "none", excerpt(m.Prefix))
	case m.Suffix != "":
		return want("model.end_of_word_suffix", "none", excerpt(m.Suffix))
	case m.ByteFallback:
		return want("model.byte_fallback", "false", "true")
	case m.IgnoreMerges:
		return want("model.ignore_merges", "false", "true")
	case f.Normalizer != nil && f.Normalizer.Type != "NFC":
		return want("normalizer.type", `none or "NFC"`, excerpt(f.Normalizer.Type))
	case p == nil:
		return want("pre_tokenizer", "an object", "none")
	case p.Type != "ByteLevel":
		return want("pre_tokenizer.type", `"ByteLevel"`, excerpt(p.Type))
	case p.AddPrefixSpace:
		return want("pre_tokenizer.add_prefix_space", "false", "true")
	case p.UseRegex != nil && !*p.UseRegex:
		return want("pre_tokenizer.use_regex", "true", "false")
	case len(f.Added) > maxAdded:
		return want("added_tokens", fmt.Sprintf("at most %d", maxAdded), strconv.Itoa(len(f.Added)))
	}
	return nil
}

// addVocabulary takes the tokens of the model, whose characters stand for bytes.
func (t *BPE) addVocabulary(vocab map[string]int) *Error {
	names := make([]string, 0, len(vocab))
	for s := range vocab {
		names = append(names, s)
	}
	slices.Sort(names) // so that of several faults the same one is named
	for _, s := range names {
		text, ok := byteText(s)
		if !ok { // an added token's, as they are listed in some files; elsewhere it can never match
			text = []byte(s)
		}
		if fault := t.set("model.vocab", vocab[s], text); fault != nil {
			return fault
		}
	}
	for c := range t.bytes {
		t.bytes[c] = -1
		if id, ok := vocab[string(byteRunes[c])]; ok {
			t.bytes[c] = int32(id)
		} else if inUTF8(byte(c)) {
			return &Error{Field: "model.vocab", Want: "a token for every byte of UTF-8", Got: fmt.Sprintf("none for \\x%02x, %q", c, byteRunes[c])}
		}
	}
	return nil
}

// set gives id its bytes.
func (t *BPE) set(field string, id int, text []byte) *Error {
	switch {
	case id < 0 || id > MaxID:
		return &Error{Field: field, Want: fmt.Sprintf("ids from 0 to %d", MaxID), Got: strconv.Itoa(id)}
	case len(text) < 1 || len(text) > MaxToken:
		return &Error{Field: field, Want: fmt.Sprintf("1 to %d bytes", MaxToken), Got: fmt.Sprintf("%d at id %d", len(text), id)}
	case id < len(t.tokens) && t.tokens[id] != nil && !bytes.Equal(t.tokens[id], text):
		return &Error{Field: field, Want: "each id once", Got: fmt.Sprintf("%d for %s and for %s", id, excerpt(t.tokens[id]), excerpt(text))}
	}
	if id >= len(t.tokens) {
		t.tokens = slices.Grow(t.tokens, id+1-len(t.tokens))[:id+1]
	}
	t.tokens[id] = text
	return nil
}

// addMerges takes the merges, each "LEFT RIGHT" or ["LEFT", "RIGHT"], in order of rank.
func (t *BPE) addMerges(vocab map[string]int, merges []json.RawMessage) *Error {
	t.merges = make(map[pair]merge, len(merges))
	for rank, raw := range merges {
		field := fmt.Sprintf("model.merges[%d]", rank)
		left, right, ok := mergeParts(raw)
		if !ok {
			return &Error{Field: field, Want: `"LEFT RIGHT" or ["LEFT", "RIGHT"]`, Got: excerpt([]byte(raw))}
		}
		var ids [3]int32
		for i, s := range []string{left, right, left + right} {
			id, ok := vocab[s]
			if !ok {
				return &Error{Field: field, Want: "tokens of model.vocab", Got: excerpt(s)}
			}
			ids[i] = int32(id)
		}
		p := pair{ids[0], ids[1]}
		if first, ok := t.merges[p]; ok {
			return &Error{Field: field, Want: "each merge once", Got: fmt.Sprintf("%s, which model.merges[%d] is", excerpt([]byte(raw)), first.rank)}
		}
		t.merges[p] = merge{int32(rank), ids[2]}
	}
	return nil
}

func mergeParts(raw json.RawMessage) (left, right string, ok bool) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		left, right, ok = strings.Cut(s, " ")
		return left, right, ok && left != "" && right != "" && !strings.Contains(right, " ")
	}
	var two []string
	if json.Unmarshal(raw, &two) != nil || len(two) != 2 {
		return "", "", false
	}
	return two[0], two[1], two[0] != "" && two[1] != ""
}

// addAdded takes the added tokens, whose characters stand for themselves.
func (t *BPE) addAdded(list []addedFields) *Error {
	seen := make(map[string]int, len(list))
	for i, a := range list {
		field := fmt.Sprintf("added_tokens[%d]", i)
		if a.SingleWord || a.LStrip || a.RStrip {
			return &Error{Field: field, Want: "single_word, lstrip and rstrip false", Got: "true"}
		}
		text := []byte(a.Content)
		if a.Normalized && t.nfc {
			text = composed(text)
		}
		if first, ok := seen[string(text)]; ok {
			return &Error{Field: field, Want: "each token once", Got: fmt.Sprintf("%s, which added_tokens[%d] is", excerpt(text), first)}
		}
		seen[string(text)] = i
		if fault := t.set(field, a.ID, []byte(a.Content)); fault != nil {
			return fault
		}
		if a.Normalized {
			t.normal.add(text, a.ID)
		} else {
			t.raw.add(text, a.ID)
		}
	}
	return nil
}

// byteRunes are the characters that stand for the bytes in a byte-level vocabulary (GPT-2, encoder.py): the printable
// ones of Latin-1 for themselves, the others for U+0100 and up in order of byte.
var byteRunes, runeBytes = func() (runes [256]rune, back map[rune]byte) {
	back = make(map[rune]byte, 256)
	next := rune(0x100)
	for c := range runes {
		r := rune(c)
		if r < '!' || r > '~' && r < 0xa1 || r == 0xad {
			r = next
			next++
		}
		runes[c], back[r] = r, byte(c)
	}
	return runes, back
}()

// byteText returns the bytes that the characters of s stand for.
func byteText(s string) ([]byte, bool) {
	text := make([]byte, 0, len(s))
	for _, r := range s {
		c, ok := runeBytes[r]
		if !ok {
			return nil, false
		}
		text = append(text, c)
	}
	return text, true
}

// inUTF8 reports whether c can be part of valid UTF-8.
func inUTF8(c byte) bool {
	return c < 0xc0 || c > 0xc1 && c < 0xf5
}
