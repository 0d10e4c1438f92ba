// RWKV-7's recurrence by chunks of CHUNK tokens: what wkv7_chunk.comp leaves of a chunk and head for wkv7_scan.comp, as
// rows of N elements. See model/op.WKV7 for the formula; with P_t the product of the decays from the chunk's start to
// token t, S the state before the chunk, a_t = -kk_t, b_t = kk_t * rate_t and key_t = k'_t,
//
//     u_t = S (a_t P_(t-1)) + sum over s < t of ((a_t P_(t-1) / P_s) . b_s) u_s + ((a_t P_(t-1) / P_s) . key_s) v_s
//     o_t = S (r_t P_t) + sum over s <= t of ((r_t P_t / P_s) . b_s) u_s + ((r_t P_t / P_s) . key_s) v_s
//     S after the chunk of n = S P_n + sum over s of u_s (b_s P_n / P_s)^T + v_s (key_s P_n / P_s)^T
//
// in which the first equation, solved for u, leaves u_t = S x_t + y_t and o_t = S q_t + z_t of vectors that no state
// enters. A token's decay is at least exp(-exp(-0.5)) > 0.545, so 1 / P_s stays below 2e4, and every product of it with
// a later P_t, being at most 1, is as exact as the decays themselves.
const uint CHUNK = 16;
const uint X_ROW = 0, Q_ROW = CHUNK, B_ROW = 2 * CHUNK, KEY_ROW = 3 * CHUNK, P_ROW = 4 * CHUNK, Y_ROW = P_ROW + 1,
           Z_ROW = Y_ROW + CHUNK, CHUNK_ROWS = Z_ROW + CHUNK;

// Chunks are numbered so that those of a sequence follow one another and no two sequences' meet, whatever their lengths
// are.
uint first_chunk(uint start, uint sequence) { return start / CHUNK + sequence; }
