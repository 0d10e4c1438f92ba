// Package sample turns a model's logits into a token id.
//
// # Definition
//
// The result is a function of (logits, ids accepted so far, Params) that another implementation, such as a shader
// with 32-bit floats and integers, can reproduce bit for bit. Only steps 1 to 3 and one product per token are floating
// point; everything that is summed is an integer, so no order of summation can change the result.
//
//  1. Bias: l = l + bias (float32) of the ids that have one. Then l = -Inf for banned ids, masked ids and those that a
//     constraint leaves out.
//  2. Penalties, for every id accepted so far (presence counts even where the count is 0):
//     l = l - (presence + count*frequency), each operation rounded to float32, no fused multiply-add.
//  3. m = largest l, +0 for -0, and t = m - l (float32, t >= 0). Ids whose t is +Inf are out. Greedy, that is temperature 0 or
//     top_p 0, ends here with the lowest id of t = 0.
//  4. Weight(t*log2e), the integer 2^40 * exp(-t), stands for the probability before temperature; Z is the sum over
//     all ids.
//  5. top_p in (0, 1): P = ceil(top_p * 2^32), cut = smallest t such that the ids with t' <= t weigh at least
//     ceil(P*Z / 2^32) together; ids with t <= cut stay, so ties with the cut survive. top_p = 1 is no filter.
//  6. top_k in [1, vocabulary): of the ids that stay, the k with the smallest t; ties by lowest id.
//  7. min_p: ids with t <= float32(-ln(min_p)) stay: probability at least min_p times the largest one, also before
//     temperature. Steps 5 to 7 each keep a prefix of the same order (t, then id), so they commute.
//  8. Weight(t*s) with s = float32(min(max(log2e / temperature, 2^-126), 1e30)), the integer form of p^(1/T); Z' is its sum over
//     what stays.
//  9. r = the first two words of Philox4x32-10 with key = seed and counter = number of accepted tokens, first word
//     lowest. The id drawn is the first in id order whose running sum of weights exceeds floor(r*Z' / 2^64).
//
// After a token: every count *= decay (float32; below 2^-40 it becomes 0), then the token's count += 1, or += 0 when
// its text is free (see FreeText). Order and meaning are those of the reference sampler of the RWKV pip package, whose
// top_p = 1 turns greedy where a float32 sum stays under 1; here it is no filter.
//
// # What a twin must reproduce
//
// A twin needs correctly rounded float32 addition, subtraction and multiplication without contraction (`precise` in
// GLSL), conversion to integer by truncation, WeightTable, and products of 32x32 to 64 bits (umulExtended). It needs
// sums in two 32-bit words with carry: a weight is at most 2^40 and a vocabulary at most 2^23, so 64 bits cannot
// overflow. It orders t by its bit pattern, which for t >= 0 is the order of the values. Only one thing may differ: a
// device that flushes subnormal numbers to zero sees no subnormal difference of logits.
//
// # Accuracy
//
// A weight 2^-u is within 7e-8*(1+u) of its exact value, relative, plus 2^-40. A token less likely than 2^-40 times the
// most likely one has weight 0 and is never drawn; together such tokens miss less than 6e-8 of the probability at 65536
// ids.
package sample
