package eval

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rwkv-gpu/rwkv-gpu/tokenizer"
)

// lines calls do with each line of JSON lines that is not empty. Errors name the line.
func lines(data []byte, do func(number int, line []byte) error) error {
	found := false
	for i, line := range strings.Split(string(data), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		found = true
		if err := do(i, []byte(line)); err != nil {
			return fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if !found {
		return errors.New("want JSON lines, got none")
	}
	return nil
}

// unmarshal reads a line. Its error names the field.
func unmarshal(line []byte, v any) error {
	err := json.Unmarshal(line, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Errorf("%s: want %s, got %s", wrong.Field, wanted(wrong), wrong.Value)
	}
	if err != nil {
		return fmt.Errorf("want a JSON object: %w", err)
	}
	return nil
}

func wanted(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind().String() {
	case "string":
		return "a text"
	case "int":
		return "a whole number"
	}
	return "a list of texts"
}

// Documents reads the texts of JSON lines, each an object with a field text.
func Documents(data []byte) (texts []string, err error) {
	err = lines(data, func(_ int, line []byte) error {
		var d struct {
			Text *string `json:"text"`
		}
		if err := unmarshal(line, &d); err != nil {
			return err
		}
		if d.Text == nil {
			return errors.New("text: want a text, got none")
		}
		texts = append(texts, *d.Text)
		return nil
	})
	return texts, err
}

// pair returns the ids of a context behind begin, and of what follows it, divided as lm-evaluation-harness divides them:
// blanks at the context's end go to what follows, and its ids are those of the whole behind as many as the context has. An
// empty context is ifEmpty.
func pair(tok tokenizer.Tokenizer, begin []int, ifEmpty int, context, end string) (before, after []int, err error) {
	stripped := strings.TrimRightFunc(context, unicode.IsSpace)
	if before, err = tok.AppendEncode(nil, []byte(stripped)); err != nil {
		return nil, nil, err
	}
	whole, err := tok.AppendEncode(nil, []byte(context+end))
	if err != nil {
		return nil, nil, err
	}
	if after = whole[min(len(before), len(whole)):]; len(after) == 0 { // one token has the end of both
		if after, err = tok.AppendEncode(nil, []byte(context[len(stripped):]+end)); err != nil {
			return nil, nil, err
		}
	}
	before = append(append([]int{}, begin...), before...)
	if len(before) == 0 {
		before = []int{ifEmpty}
	}
	return before, after, nil
}

// LAMBADA is the task of predicting the last word of passages (Paperno et al., arXiv:1606.06031).
type LAMBADA struct{ items []Item }

// NewLAMBADA reads passages from JSON lines, each an object with a field text. The word to predict stands behind the last
// blank. begin are ids that each passage is read behind.
func NewLAMBADA(tok tokenizer.Tokenizer, data []byte, begin []int) (*LAMBADA, error) {
	texts, err := Documents(data)
	if err != nil {
		return nil, err
	}
	t := new(LAMBADA)
	for i, text := range texts {
		at := strings.LastIndexByte(text, ' ')
		if at <= 0 || at == len(text)-1 {
			return nil, fmt.Errorf("passage %d: text: want words with a blank before the last, got %q", i+1, text)
		}
		context, end, err := pair(tok, begin, 0, text[:at], text[at:])
		if err != nil {
			return nil, fmt.Errorf("passage %d: %w", i+1, err)
		}
		t.items = append(t.items, Item{Context: context, Ends: [][]int{end}})
	}
	return t, nil
}

// Items returns a list of the passages.
func (t *LAMBADA) Items() []Item { return t.items }

// Result returns the share of last words of which each token is the likeliest, and the perplexity of a last word, which
// may be several tokens.
func (t *LAMBADA) Result(scores [][]Score) *Result {
	r := &Result{Task: "lambada", N: len(t.items)}
	r.common(scores)
	right := 0
	var list []unit
	for _, ends := range scores {
		if ends[0].greedy() {
			right++
		}
		list = append(list, unit{ends[0].sum(), 1})
	}
	nll, interval := ratio(list)
	accuracy, perplexity := float64(right)/float64(r.N), exp(nll)
	r.Accuracy, r.Perplexity = &accuracy, &perplexity
	r.Errors = &StdError{Accuracy: standardError(accuracy, r.N)}
	r.Intervals = Intervals{Method: fmt.Sprintf("accuracy: %s; perplexity: %s over %d passages", byWilson, byT, r.N),
		Accuracy: wilson(accuracy, r.N), Perplexity: interval.positive().through(exp)}
	return r
}

// Change compares the losses of last words, as their perplexity does.
func (t *LAMBADA) Change(before, now [][]Score) *Change {
	list := make([]unit, len(now))
	for i := range now {
		list[i] = unit{now[i][0].sum() - before[i][0].sum(), 1}
	}
	return changeOf(list)
}

// Choice is the task of choosing what follows a text.
type Choice struct {
	items   []Item
	gold    []int
	lengths [][]int // characters of each choice
}

// NewChoice reads questions from JSON lines, each an object with text (or query), choices and gold, the index of the right
// choice. A blank stands between text and choice. begin are ids that each text is read behind; ifEmpty is read instead of
// an empty text without begin.
func NewChoice(tok tokenizer.Tokenizer, data []byte, begin []int, ifEmpty int) (*Choice, error) {
	t := new(Choice)
	err := lines(data, func(_ int, line []byte) error {
		var q struct {
			Text    *string  `json:"text"`
			Query   *string  `json:"query"`
			Choices []string `json:"choices"`
			Gold    *int     `json:"gold"`
		}
		if err := unmarshal(line, &q); err != nil {
			return err
		}
		if q.Text == nil {
			q.Text = q.Query
		}
		switch {
		case q.Text == nil:
			return errors.New("text: want a text here or as query, got none")
		case len(q.Choices) < 2:
			return fmt.Errorf("choices: want two texts or more, got %d", len(q.Choices))
		case q.Gold == nil:
			return errors.New("gold: want the index of the right choice, got none")
		case *q.Gold < 0 || *q.Gold >= len(q.Choices):
			return fmt.Errorf("gold: want an index of %d choices, got %d", len(q.Choices), *q.Gold)
		}
		var it Item
		var lengths []int
		for i, choice := range q.Choices {
			if choice == "" {
				return fmt.Errorf("choices[%d]: want a text, got an empty one", i)
			}
			context, end, err := pair(tok, begin, ifEmpty, *q.Text, " "+choice)
			if err != nil {
				return fmt.Errorf("choices[%d]: %w", i, err)
			}
			it.Context, it.Ends = context, append(it.Ends, end)
			lengths = append(lengths, utf8.RuneCountInString(choice))
		}
		t.items, t.gold, t.lengths = append(t.items, it), append(t.gold, *q.Gold), append(t.lengths, lengths)
		return nil
	})
	return t, err
}

// Items returns a list of the questions.
func (t *Choice) Items() []Item { return t.items }

// Result returns acc, the share of questions whose right choice has the largest log-likelihood, and acc_norm, where each
// log-likelihood is divided by the choice's characters.
func (t *Choice) Result(scores [][]Score) *Result {
	r := &Result{Task: "choice", N: len(t.items)}
	r.common(scores)
	var right, normed int
	for i, ends := range scores {
		if t.chosen(i, ends, false) == t.gold[i] {
			right++
		}
		if t.chosen(i, ends, true) == t.gold[i] {
			normed++
		}
	}
	acc, norm := float64(right)/float64(r.N), float64(normed)/float64(r.N)
	r.Acc, r.AccNorm = &acc, &norm
	r.Errors = &StdError{Acc: standardError(acc, r.N), AccNorm: standardError(norm, r.N)}
	r.Intervals = Intervals{Method: byWilson, Acc: wilson(acc, r.N), AccNorm: wilson(norm, r.N)}
	return r
}

// chosen returns the index of the choice with the largest log-likelihood, or log-likelihood per character; the first of
// equals.
func (t *Choice) chosen(item int, ends []Score, perCharacter bool) (best int) {
	most := math.Inf(-1)
	for i := range ends {
		l := -ends[i].sum()
		if perCharacter {
			l /= float64(t.lengths[item][i])
		}
		if l > most {
			best, most = i, l
		}
	}
	return best
}

// Change returns nil: questions have no perplexity.
func (t *Choice) Change(_, _ [][]Score) *Change { return nil }
