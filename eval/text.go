package eval

import (
	"fmt"
	"math"
	"strings"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// TextOptions say how text is cut into what a model reads.
type TextOptions struct {
	// Begin are ids that each document is read behind. They are not predicted. Without them the first token of each
	// document is not predicted either.
	Begin []int
	// End, if not nil, is an id that each whole document is to be followed by, and that is predicted too.
	End *int
	// Length is the most tokens of each document that are read, Begin among them, 0 for all. The rest of the document is
	// left out.
	Length int
	// Tokens ends the list of documents once so many are to be predicted; 0 for all documents.
	Tokens int
}

// Text is the task of predicting documents.
type Text struct {
	items []Item
	sizes [][]int // bytes of each predicted token
}

// NewText makes the task. Each document is read from its first to its last token, with one state: what a chunk leaves is
// what the next one begins with. A document with nothing to predict is left out.
func NewText(tok tokenizer.Tokenizer, documents []string, o TextOptions) (*Text, error) {
	t, tokens := new(Text), 0
	for i, d := range documents {
		ids, err := tok.AppendEncode(append([]int{}, o.Begin...), []byte(d))
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i+1, err)
		}
		whole := o.Length <= 0 || len(ids) <= o.Length
		switch {
		case !whole:
			ids = ids[:o.Length]
		case o.End != nil:
			ids = append(ids, *o.End)
		}
		context := max(len(o.Begin), 1)
		if len(ids) <= context {
			continue
		}
		it := Item{Context: ids[:context], Ends: [][]int{ids[context:]}}
		sizes := make([]int, len(ids)-context)
		for j, id := range it.Ends[0] {
			sizes[j] = len(tok.Bytes(id))
		}
		if whole && o.End != nil {
			sizes[len(sizes)-1] = 0 // it stands for no text of the document
		}
		t.items, t.sizes = append(t.items, it), append(t.sizes, sizes)
		if tokens += len(sizes); o.Tokens > 0 && tokens >= o.Tokens {
			break
		}
	}
	if tokens == 0 {
		return nil, fmt.Errorf("want text of which something is to be predicted, got none in %d documents", len(documents))
	}
	return t, nil
}

// Items returns a list of the documents.
func (t *Text) Items() []Item { return t.items }

// Result returns perplexity, bits per byte and the like.
func (t *Text) Result(scores [][]Score) *Result {
	r := &Result{Task: "text", N: len(t.items)}
	r.common(scores)
	top := 0
	for d := range scores {
		for i, yes := range scores[d][0].Likeliest {
			r.Bytes += t.sizes[d][i]
			if yes {
				top++
			}
		}
	}
	list, over := units(scores, func(d, i int) (float64, float64) { return scores[d][0].Loss[i], 1 })
	nll, interval := ratio(list)
	perplexity, share := exp(nll), float64(top)/float64(r.Tokens)
	r.NLL, r.Perplexity, r.Top1 = &nll, &perplexity, &share
	r.Intervals = Intervals{Method: byT + " over " + over, Perplexity: interval.positive().through(exp)}
	if r.Bytes > 0 {
		list, _ = units(scores, func(d, i int) (float64, float64) { return scores[d][0].Loss[i] / math.Ln2, float64(t.sizes[d][i]) })
		bits, interval := ratio(list)
		r.BitsPerByte, r.Intervals.BitsPerByte = &bits, interval.positive()
	}
	return r
}

// Change compares the losses of tokens.
func (t *Text) Change(before, now [][]Score) *Change {
	list, _ := units(now, func(d, i int) (float64, float64) { return now[d][0].Loss[i] - before[d][0].Loss[i], 1 })
	return changeOf(list)
}

// Split cuts a text into documents at lines that are separator. Line breaks at the ends of documents are left out, and so
// are empty documents.
func Split(text, separator string) (documents []string) {
	var lines []string
	add := func() {
		if d := strings.Trim(strings.Join(lines, "\n"), "\r\n"); d != "" {
			documents = append(documents, d)
		}
		lines = lines[:0]
	}
	for _, line := range strings.Split(text, "\n") {
		if strings.TrimSuffix(line, "\r") == separator {
			add()
		} else {
			lines = append(lines, line)
		}
	}
	add()
	return documents
}
