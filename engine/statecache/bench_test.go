package statecache

import (
	"strings"
	"testing"
)

// BenchmarkTurn is the work of the cache for a further turn of a long conversation, but for copies of states: 40 turns
// of some 200 tokens each.
func BenchmarkTurn(b *testing.B) {
	tok := smallVocabulary(b)
	s := &server{t: b, tok: tok, cache: newCache(b, Options{Size: fakeSize, Host: 1 << 24}), every: 512}
	said := []string{"Hello!"}
	for range 40 {
		text := strings.Repeat(" there you are and the time is 100", 8)
		s.ask("ann", chat(system, said...), append(s.encode(text), 0))
		said = append(said, strings.TrimSpace(text), "And the time"+text)
	}
	p := chat(system, said...)
	space := s.cache.Space("ann")
	b.ReportAllocs()
	for b.Loop() {
		prompt, err := space.Prompt(tok, p)
		if err != nil {
			b.Fatal(err)
		}
		hit := space.Find(prompt.IDs, len(prompt.IDs)-1)
		Plan(hit.Tokens, len(prompt.IDs), 512, hit, prompt.Ends)
		hit.Release()
		b.ReportMetric(float64(len(prompt.IDs)), "tokens")
		b.ReportMetric(float64(len(prompt.IDs)-hit.Tokens), "read")
	}
}
