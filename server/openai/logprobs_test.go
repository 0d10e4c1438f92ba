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
// order and each once; also where a token has the end of a thought and the beginning of the content, where the parser holds
// back what may become a call, and around calls.
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
	tools, err := dialect.Render([]prompt.Message{{Role: prompt.User, Content: "Hi"}},
		prompt.Options{Tools: []prompt.Tool{{Name: "now", Parameters: []byte(`{"type":"object"}`)}}})
	if err != nil {
		t.Fatal(err)
	}
	const call = "```json\n{\"name\": \"now\", \"arguments\": {\"s\": \"s\"}}\n```"
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		p      *prompt.Prompt
		single bool
		parts  []string // every second one is content
	}{
		{plain, false, []string{" ", "Hello there, hello there."}},
		{plain, false, []string{"\n ", "one\n\none\n\n\nOne </thin or <think", "\n\n"}},
		{thinking, false, []string{">\nHello. I think\n</think>\n\n", "Hello. I think. </think", "\n"}},
		{thinking, false, []string{">think</think>", "think"}},
		{thinking, false, []string{"></think>\n", "狐狸 and a fox 🦊."}},
		{tools, false, []string{"", "s\n```js\nlet x = 1"}},
		{tools, false, []string{" ", "`` **Tool * ``` <tool ``", "\n"}},
		{tools, false, []string{" ", "Now.\n", "**Tool Call:**\n" + call, "\nDone. Now", "\n"}},
		{tools, false, []string{" ", "s ", call + call, " s` s"}},
		{tools, true, []string{" ", "s ", call, "\ns ", call, "\n ss"}},
		{tools, false, []string{"", "```json\n{\"name\": \"other\", \"arguments\": {}}\n``` s ", call}},
	} {
		whole, content := strings.Join(c.parts, ""), ""
		var is []bool // of each byte, whether it is content
		for i, part := range c.parts {
			if i%2 == 1 {
				content += part
			}
			for range len(part) {
				is = append(is, i%2 == 1)
			}
		}
		for range 200 {
			var tokens []api.Token
			var want []int
			for at := 0; at < len(whole); {
				n := min(1+rng.IntN(1+rng.IntN(12)), len(whole)-at)
				if slices.Contains(is[at:at+n], true) {
					want = append(want, len(tokens))
				}
				tokens = append(tokens, api.Token{ID: len(tokens), Bytes: []byte(whole[at : at+n])})
				at += n
			}
			parser, found := c.p.Parser(prompt.ParserOptions{Single: c.single}), contents{}
			var got []int
			push := func(list []api.Token) {
				spans, certain := parser.Places()
				found.push(list, spans, certain)
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
				parser.Push(text)
				push(tokens[first:told])
			}
			parser.Push("")
			push(tokens[told:])
			parser.End()
			push(nil)
			if parser.Answer().Content != content || !slices.Equal(got, want) {
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
