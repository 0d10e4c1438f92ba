// Package completion completes prompts: what a server, a chat and a program call. It brings together an engine, its
// scheduler, a tokenizer and a cache of states, so that a turn of a conversation costs only its new tokens.
//
//	s, err := completion.New(e, tok, completion.Options{Cache: statecache.Options{Host: 8 << 30}})
//	c, err := s.Start(ctx, completion.Request{
//		Space:  "ann", // whose states may be used
//		Prompt: segments,
//		Stop:   []string{"\n\nUser:"},
//		Max:    200,
//	})
//	for piece := range c.Pieces() {
//		// send piece.Text
//	}
//	r, err := c.Result() // r.Finish, r.Cached, r.Prefilled, r.Drawn
//	segments = append(r.Turn, next...) // the next turn
//
// # Where a completion begins
//
// A prompt is a list of segments, of which each is encoded by itself. It begins with the longest state that the cache
// has of it, and the tokens before that are not fed. The cache is asked twice: when the completion is started, since
// reading a file takes time, and when a slot is free, since another completion may have read the same beginning
// meanwhile.
//
// Completions that differ in their draws alone are started together by [Service.StartAll]. Their prompt is read once.
//
// # What is kept
//
// While a prompt is fed, states are kept at the ends of its segments that ask for it, at the place where it parts from
// all kept texts, and every so many tokens. One more is kept at the end: after all tokens that were fed, also where the
// completion was canceled. No pass waits for that. An answer comes back as text; the cache finds the ids that were
// drawn for it, so nothing else is to be remembered.
//
// The last state may have seen a part of the stop string. It is the one that the next turn goes on from, which has the
// same text there. [Service.State] makes the state at exactly the end of a prompt. Where Request.Returned says that it
// will be asked for, states are kept within the answer too, so that only its end is read again. They are
// [statecache.Passing], and the last one is a [statecache.Turn], so the cache gives them up before it.
//
// # Exactness
//
// On an engine with engine.Options.Exact, tokens and log-probabilities after a prompt of the same ids do not depend on
// what the cache had, bit for bit. On any other engine they agree within rounding. The ids of an answer that comes back
// as text are those that were drawn for it, if the cache still knows them; otherwise the text is encoded.
package completion
