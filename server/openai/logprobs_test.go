package openai

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rwkv-gpu/rwkv-gpu/prompt"
	"github.com/rwkv-gpu/rwkv-gpu/server/api"
)

// However an answer is cut into tokens and pieces, the tokens that are content are those that hold a byte of the content, in
// order and each once; also where a token has the end of a thought and the beginning of the content.
func TestContents(t *testing.T) {
	dialect, err := prompt.ByName("template", prompt.G1)
	if err != nil {
		t.Fatal(err)
	}
	thinking, err := dialect.Render([]prompt.Message{{Role: prompt.User, Content: "Hi"}}, prompt.Options{Think: prompt.ThinkFree})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := dialect.Render([]prompt.Message{{Role: prompt.User, Content: "Hi"}}, prompt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		p             *prompt.Prompt
		before, after string
		content       string
	}{
		{plain, " ", "", "Hello there, hello there."},
		{plain, "\n ", "\n\n", "one\n\none\n\n\nOne </thin or <think"},
		{thinking, ">\nHello. I think\n</think>\n\n", "\n", "Hello. I think. </think"},
		{thinking, ">think</think>", "", "think"},
		{thinking, "></think>\n", "", "狐狸 and a fox 🦊."},
	} {
		whole := c.before + c.content + c.after
		for range 200 {
			var tokens []api.Token
			var want []int
			for at := 0; at < len(whole); {
				n := min(1+rng.IntN(1+rng.IntN(12)), len(whole)-at)
				if at < len(c.before)+len(c.content) && at+n > len(c.before) {
					want = append(want, len(tokens))
				}
				tokens = append(tokens, api.Token{ID: len(tokens), Bytes: []byte(whole[at : at+n])})
				at += n
			}
			parser, found := c.p.Parser(prompt.ParserOptions{}), contents{}
			var got []int
			push := func(text string, list []api.Token, deltas []prompt.Delta) {
				found.push(text, list, deltas)
				for _, t := range found.take() {
					got = append(got, t.ID)
				}
			}
			shown, spelt, told := 0, 0, 0
			for shown < len(whole) { // a token comes when its text is there, or later
				n := min(1+rng.IntN(9), len(whole)-shown)
				for shown+n < len(whole) && whole[shown+n]&0xC0 == 0x80 {
					n++
				}
				text := whole[shown : shown+n]
				shown += n
				first := told
				for told < len(tokens) && spelt+len(tokens[told].Bytes) <= shown && rng.IntN(8) > 0 {
					spelt += len(tokens[told].Bytes)
					told++
				}
				push(text, tokens[first:told], parser.Push(text))
			}
			push("", tokens[told:], nil)
			push("", nil, parser.End())
			if parser.Answer().Content != c.content || !slices.Equal(got, want) {
				t.Fatalf("%q: content %q, tokens %v, want %v of %v", whole, parser.Answer().Content, got, want, strings.Join(texts(tokens), "|"))
			}
		}
	}
}

func texts(tokens []api.Token) (list []string) {
	for _, t := range tokens {
		list = append(list, string(t.Bytes))
	}
	return list
}
