// Package statecache keeps states of sequences by the token ids that led to them. A text that begins like an earlier
// one goes on from a kept state, and its beginning is not read again.
//
// The state of an RWKV is small and stands for the whole past of a sequence. It cannot be cut back to a shorter past.
// So the cache keeps states at several lengths of a text, the checkpoints, and a text goes on from the longest
// checkpoint that it begins with.
//
// # Use
//
// For each request, in the space of its user:
//
//	p, err := space.Prompt(tok, segments)
//	hit := space.Find(p.IDs, len(p.IDs)-1) // at least one token is read, for its logits
//	// begin a sequence with hit.State or, if hit.Tokens is 0, with the initial state
//	hit.Release()
//	for _, m := range statecache.Plan(hit.Tokens, len(p.IDs), 512, hit, p.Ends) {
//		// read p.IDs up to m.Tokens
//		if d := space.Reserve(p.IDs[:m.Tokens], statecache.Meta{Kind: m.Kind, Pending: -1}); d != nil {
//			// copy the state to d.State()
//			d.Commit()
//		}
//	}
//	// read the rest and draw the answer
//
// At the end of the answer the caller keeps one state more, after the ids that were fed. If these end in a part of a
// stop string, the next turn still begins with them where it has the same separator; text.Writer.Covered counts the ids
// before the stop string.
//
// # Places of checkpoints
//
// Texts part where people change them: at the end of a system prompt, of a turn, of an answer. [Space.Prompt] returns
// these places, and [Plan] adds places within long segments. [Space.Find] returns a third kind: the place where a text
// parts from all kept texts. A time stamp in a system prompt is such a place; from the third request on, the text
// before the stamp is not read again.
//
// Each text keeps O(log n) checkpoints, beside Anchors and the places where kept texts part. Plan states the rule and
// its bounds.
//
// # Ids of texts that come back
//
// A client sends back the text of a conversation and not its ids. Encoding that text gives other ids than those that
// were fed, since a token may span the end of an answer and the separator behind it, and since a model need not draw
// the longest tokens. [Space.Prompt] therefore encodes each segment by itself, and takes the ids of an answer from the
// tree of kept sequences if one of them spells it. The tree is the memory of answers. It holds the ids that lead to
// states, as long as they do, in files too.
//
// # Tiers
//
// A checkpoint has copies in host memory and on disk. Each tier has a budget in bytes. A full tier gives
// up the copies that save the fewest tokens a byte, where a copy that was not used for long counts less than a new one
// (GreedyDual; N. Young, The k-server dual and loose competitiveness for paging, 1994). The tokens that a checkpoint
// saves are those behind the next shorter checkpoint. A goroutine of the cache writes the states in host memory to
// files.
//
// Several processes may have one folder. Each finds what the others wrote when it writes next. The time of a file is
// that of its last use by any of them, and a process removes no file that another used since it looked last.
//
// # Namespaces
//
// Each [Space] has a tree of its own, and a look-up touches no other. Neither its result nor its time tells anything of
// other spaces. The budgets are common to all spaces.
//
// # Exactness
//
// A kept state equals, bit for bit, the state of a run from the start if the engine's numbers do not depend on the
// division of a text into passes. Otherwise it equals it within rounding. States of different ways to compute have
// different identities ([Options].Identity).
package statecache
