package main

// viewMutants are those of the window's picture.
var viewMutants = []mutant{
	{File: "view_keys.comp", Old: `value * n + key)`, New: `key * n + value)`, Why: "a key has a column"},
	{File: "view_keys.comp", Old: `key * n + value :`, New: `value * n + key :`, Why: "a key has a row"},
	{File: "view_keys.comp", Old: `sqrt(sum)`, New: `sum`, Why: "length of a column"},
	{File: "view_largest.comp", Old: `if (floatBitsToUint(v) < 0x7f800000u) most`, New: `most`, Why: "numbers that are not finite"},
	{File: "view_largest.comp", Old: `i < 64; i++) most`, New: `i < 63; i++) most`, Why: "what the last invocation found"},
	{File: "view_largest.comp", Old: `float v = abs(x[base + i]);`, New: `float v = x[base + i];`, Why: "magnitude of negative numbers"},
	{File: "view_quads.comp", Old: `(q.place >> 16) * push.stride`, New: `(q.place >> 16) * width`, Why: "row of the corner"},
	{File: "view_quads.comp", Old: `[at & 3]`, New: `[at & 1]`, Why: "byte of a word of the atlas"},
	{File: "view_quads.comp", Old: `under * (255 - cover)`, New: `under * (256 - cover)`, Why: "what is under a character"},
	{File: "view_state.comp", Old: `max((p + 1) * n / push.side, from + 1)`, New: `from + 1`, Why: "all numbers that a pixel covers"},
	{File: "view_state.comp", Old: `bad = bad || `, New: `bad = `, Why: "a number that is not finite before others of its pixel"},
	{File: "view_state.comp", Old: `push.each == 1 ? head : 0`, New: `head`, Why: "one scale for all heads"},
	{File: "view_state.comp", Old: `shown < 0.0 ? -place : place`, New: `place`, Why: "color of negative numbers"},
	{File: "view_state.comp", Old: `+ head * push.step`, New: ``, Why: "place of a second head"},
}
