// Package statecache keeps states of sequences by the token ids that led to them, so that a text which begins as an earlier
// one did is not read again.
//
// A state of an RWKV is small and stands for its whole past, but for one length only: it cannot be cut back. So the cache
// keeps states at several lengths of a text, checkpoints, and a text goes on from the longest that it begins with.
//
// # Use
//
// For each request, in the user's space:
//
//	p, err := space.Prompt(tok, segments)
//	hit := space.Find(p.IDs, len(p.IDs)-1) // one token at least is read, for its logits
//	// begin a sequence with hit.Resident, hit.State or, if hit.Tokens is 0, nothing
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
// and at the end the same for the ids of the prompt and those of the answer that text.Writer's Covered counts: none of a stop
// string. On the device, PutDevice takes the place of Reserve.
//
// # Where checkpoints are worth while
//
// Texts part where people change them: at the ends of a system prompt, of a turn, of an answer. [Space.Prompt] knows these
// ends, [Plan] adds places in between where a segment is long, and [Space.Find] tells how far a text runs along another
// that is kept, which is where the two part: a checkpoint there serves the third of their kind. Of the checkpoints along
// one text the cache keeps O(log n) (see [Plan] for the rule and its bounds), beside those that are anchors or where kept
// texts part.
//
// # Ids of texts that come back
//
// A client sends the text of a conversation back, not its ids, and encoding that text anew gives other ids than those that
// were fed: a token may span the end of an answer and what follows it, and a model need not write the longest tokens. So
// [Space.Prompt] encodes each segment for itself, which makes the ids of a beginning a beginning of the ids, and takes an
// answer's ids from the tree of kept sequences where one spells its text: the tree is the memory of answers. It holds
// exactly those ids that could save something, for as long as they can, in files too, and has no budget of its own.
//
// # Tiers
//
// A checkpoint has copies on the device, in host memory and on disk, each of which has a budget in bytes. When one is full,
// the copies worth least there go: worth is the number of tokens that nobody could skip without the checkpoint, by byte,
// and copies that were not used for long lose against new ones (GreedyDual; N. Young, The k-server dual and loose
// competitiveness for paging, 1994). What leaves the device moves to host memory if it has no other copy; a goroutine of
// the cache writes what lies in host memory to files.
//
// # Whose states
//
// All of it is by [Space]: nothing is found across spaces, and a look-up does not touch the others' trees, so neither
// results nor times tell what they hold. Budgets are common to all.
//
// What numbers depend on besides ids belongs into [Options.Identity]. A restored state equals that of a run from the start
// as far as the engine promises that states do not depend on how a text is divided into passes.
package statecache
