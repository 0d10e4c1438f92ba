// Package draft decodes one sequence faster with the help of a small model, the draft (speculative decoding).
//
// # A round
//
// The draft draws a few ids ahead. One pass of the main model feeds them all, and gives the logits after each. The main
// model's sampler then draws from these logits, one after the other, as it would without a draft. As long as it draws
// what the draft had drawn, the next logits are the right ones, and one pass has made several tokens. The first other id
// ends the round; it is a token too.
//
// # The same text
//
// Random numbers are counted by position (package sample). The draft draws each id by the random number by which the main
// model will draw it, with the same settings, penalties and constraint. So where the two models agree on the
// probabilities, they draw the same id. The main model's sampler draws every token of the text from the main model's
// logits. So the ids are those of decoding without a draft, whatever the draft says, for any settings. The usual rule
// (Leviathan et al. 2023, Chen et al. 2023) takes a proposal by chance and draws from what is left of the distribution
// otherwise. That keeps the distribution, but not the text of a seed. Here a seed gives the same text with any draft,
// with none, and when the draft is turned off in the middle. If the engine is not exact, the logits of a pass of several
// tokens differ in their last bits from those of one token, as with any chunking.
//
// # States
//
// The state of an RNN cannot be cut back. So the pass runs on a copy of the sequence. If all that it fed belongs to the
// text, the two swap their states. Otherwise the sequence stays where it is, and the next pass feeds the tokens that
// were right once more, before the new ones. They cost a few rows of a pass, and no pass of their own.
//
// # Whether it pays
//
// Let one plain token take the time 1, and a round with k proposals A + B*k. B is what the draft takes for an id and the
// main model for one row more. Let a be the probability that a proposal is right. A round gives
//
//	1 + a + ... + a^k = (1 - a^(k+1)) / (1 - a)
//
// tokens on average, so decoding is (1 - a^(k+1)) / ((1 - a) * (A + B*k)) times as fast. The Drafter measures A, B and a,
// takes the best k, and turns itself off while no k gives more than 1.
package draft
