// Package weights reads RWKV model files: whatever the container and the names inside it, a File holds named tensors
// under BlinkDL's original names and in his orientation (blocks.0.att.w1 is [C, R], linear weights are [out, in]).
//
// Two independent questions are answered by looking at the file, never at its name:
//
//   - the format: how bytes become tensors. The table formats holds one line per container; a new one is a file that
//     supplies a function from bytes to raw tensors.
//   - the layout: what the tensors are called and which are stored transposed. The table layouts holds one value per
//     naming scheme.
//
// Nothing is read before it is needed. Open maps the file and checks its structure; Load on a tensor returns the
// mapped bytes themselves, or a fresh copy where the layout stores the tensor transposed. Model files come from
// strangers: every number in one is checked before use, and the memory spent on a file that turns out to be broken
// stays below 100 MiB whatever its header claims.
//
// # Layouts
//
// original: the names and shapes of the published checkpoints.
//
// web-rwkv: the .st files its converter writes. v4 and v5.0 are the same in both. In v5.1, v5.2 and v6 the renamed
// tensors give it away (time_mix_w1 for time_maa_w1, time_first beside a gate for time_faaaa). v7 keeps its names and
// only swaps the last two dimensions of w1 w2 a1 a2 v1 v2 g1 g2, so the shapes decide: with C from emb.weight, a first
// matrix is [C, R] originally and [R, C] in web-rwkv, a second one the other way round. Square matrices (R = C) say
// nothing and follow the rest of the file. If all are square, which no published model is, the file is taken for
// web-rwkv if every tensor is F16 and __metadata__ is exactly {"format": "pt"}, which is what that converter writes;
// File.Evidence then says that this was assumed.
package weights
