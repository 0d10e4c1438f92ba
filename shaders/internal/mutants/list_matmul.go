package main

// f16 are the variants that a mistake in what all types share is made with.
const f16 = "\\.f16"

// matMulMutants are those of the products.
var matMulMutants = []mutant{
	matMul(`act == ACT_TANH ? -2.0 * z : -z`, `-z`, "tanh"),
	matMul(`min(z, 10.0)`, `min(z, 1.0)`, "decay of RWKV-6 where it is fast"),
	matMul(`DECAY_SCALE = -0.606531`, `DECAY_SCALE = -0.6065`, "a constant's fourth digit"),
	matMul("z = max(z, 0.0);\n        return z * z;", "return z * z;", "ReLU of what is below zero"),
	matMul(`act == ACT_SILU ? z * s : s`, `act == ACT_SILU ? s : s`, "SiLU"),
	matMul(`row >= push.row1`, `row > push.row1`, "first row of a part"),
	matMul(` + uint(row >= push.row7)`, ``, "last part of a dispatch"),
	matMul(`p.bias == NONE ? 0.0 : F(Params, p.bias + m)`, `p.bias == NONE ? 0.0 : F(Params, p.bias)`, "bias of each row"),
	matMul(`z = activate(p.act, fma(z, p.scale, e.bias));`, `z = activate(p.act, z + e.bias);`, "scale"),
	matMul(`p.combine == COMBINE_LERP ? e.to - e.from : e.to`, `e.to`, "interpolation"),
	matMul(`if (p.combine == COMBINE_MUL) z`, `if (p.combine == COMBINE_ADD) z`, "product with another vector"),
	matMul("e.from) : z + e.from;\n    }\n    y[p.y + t * p.y_stride + m] = z;", "e.from) : z + e.from;\n    }\n    y[p.y + t * p.y_stride] = z;", "row of the output"),
	{File: "lib/matmul.glsl", Old: `if (p.act == ACT_RELU2) z = max(z, 0.0) * max(z, 0.0);`, New: `if (p.act == ACT_RELU2) z = z * z;`,
		Why: "ReLU in the plain finish", Only: "^matmul_hold" + f16, Test: "swiftshader TestOps/.*/hold/MatMul"},
	{File: "lib/matmul.glsl", Old: `p.combine <= COMBINE_ADD`, New: `p.combine <= COMBINE_MUL`,
		Why: "parts for which the plain finish does", Only: "^matmul_hold" + f16, Test: "swiftshader TestOps/.*/hold/MatMul"},

	{File: "matmul_vec.comp", Old: `next += gl_SubgroupSize / Share;`, New: `next += gl_SubgroupSize / Share + 1;`, Why: "units of a row", Only: f16},
	{File: "matmul_vec.comp", Old: `uint x_of = UNIT4 * u + 2 * lane;`, New: `uint x_of = UNIT4 * u;`, Why: "what meets a lane's group of a unit", Only: "q4_0", Test: "lavapipe TestOps/.*/shared/MatMul/Q4_0/"},
	{File: "matmul_vec.comp", Old: `acc[i] = subgroupAdd(acc[i]);`, New: `acc[i] = subgroupMax(acc[i]);`, Why: "sum over lanes", Only: f16},
	{File: "matmul_vec.comp", Old: ` && t < push.tokens) finish`, New: `) finish`, Why: "tokens past the end are stored, where sums are more than lanes", Only: f16},
	{File: "matmul_vec.comp", Old: ` && t < push.tokens;`, New: `;`, Why: "tokens past the end are stored", Only: f16,
		Equal: "on the drivers here, lanes that load early have no tokens past the end: other tiles have more sums than lanes or registers"},
	{File: "matmul_vec.comp", Old: "w[r] = w_next[r];\n                w_next[r] = fetch_of(w_at[r], min(next, units - 1), lane);", New: "w[r] = w_next[r];", Why: "units after the first", Only: f16},
	{File: "matmul_vec.comp", Old: `if (Early == 1 && finishes) ending`, New: `if (Early == 1 && finishes && m == 0) ending`, Why: "what rows after the first are combined with", Only: f16},
	{File: "matmul_vec.comp", Old: `x_sum[t] * minimum(w[r], h)`, New: `x_sum[t] * minimum(w[r], 0)`, Why: "minimum of the second half of a unit", Only: "q6_k"},
	{File: "matmul_vec.comp", Old: `base += gl_SubgroupSize) {`, New: `base += Rows * Tokens) {`, Why: "more sums than lanes", Only: f16},

	{File: "matmul_reg.comp", Old: `min(m0 + r * Local, rows - 1)`, New: `min(m0 + r, rows - 1)`, Why: "rows of a lane", Only: f16},
	{File: "matmul_reg.comp", Old: `(u += TURN) < units`, New: `(u += TURN) + 1 < units`, Why: "last unit of a row", Only: f16},
	{File: "matmul_reg.comp", Old: `inside ? hi : vec4(0.0)`, New: `hi`, Why: "units past the end of a row", Only: f16},
	{File: "matmul_reg.comp", Old: `if (m < p.rows && t < push.tokens)`, New: `if (t < push.tokens)`, Why: "rows past the end are stored", Only: f16},
	{File: "matmul_reg.comp", Old: `false, plain ? TileRows * TileTokens : 0);`, New: `false, TileRows * TileTokens);`, Why: "parts that are not plain", Only: f16},
	{File: "matmul_reg.comp", Old: `UNIT4 * u + 2 * c), x_hi`, New: `UNIT4 * u), x_hi`, Why: "groups of a block", Only: "q4_0"},
	{File: "matmul_reg.comp", Old: `uint h = c * SCALES / GROUPS,`, New: `uint h = 0,`, Why: "scale of the second half of a unit", Only: "q6_k"},

	{File: "matmul_tile.comp", Old: "            [[unroll]] for (uint j = 0; j < 4; j++) x_tile[x_at(v, j, t)] = xv[j];\n        }\n        barrier();", New: "            [[unroll]] for (uint j = 0; j < 4; j++) x_tile[x_at(v, j, t)] = xv[j];\n        }", Why: "barrier before the tile is read", Only: f16},
	{File: "matmul_tile.comp", Old: "                acc[i] = 0.0;\n            }\n        barrier();", New: "                acc[i] = 0.0;\n            }", Why: "barrier before the tile is written again", Only: f16},
	{File: "matmul_tile.comp", Old: `if (2 * g0 + v < 2 * groups)`, New: `if (true)`, Why: "x past the end of a row", Only: f16},
	{File: "matmul_tile.comp", Old: `w_tile[w_at(g, 4 + j, m)] = hi[j];`, New: `w_tile[w_at(g, 4 + j, m)] = lo[j];`, Why: "second half of 8 elements", Only: f16},
	{File: "matmul_tile.comp", Old: `(t ^ 4 * v); }`, New: `(t ^ 3 * v); }`, Why: "neighbours that lie apart in the tile", Only: f16},
	{File: "matmul_tile.comp", Old: `t0 + t_local + mine % 4`, New: `t0 + t_local + mine / 4`, Why: "token of a sum", Only: f16},

	{File: "matmul_tile.comp", Old: `% per == 0)`, New: `% per == 1)`, Why: "ends of segments", Only: f16, Test: "gpu TestExact$", Round: true},
	{File: "matmul_tile.comp", Old: `acc[i] += done[i];`, New: ``, Why: "segments before the last", Only: f16, Test: "lavapipe TestOps/.*/segment_tile/MatMul"},

	{File: "matmul_segment.comp", Old: `uint end = segment_at(s + 1, units);`, New: `uint end = segment_at(s + 1, units) - 1;`, Why: "last unit of a segment", Only: f16},
	{File: "matmul_segment.comp", Old: "= acc[t];\n    barrier();", New: "= acc[t];", Why: "barrier before the segments' sums are read", Only: f16},
	{File: "matmul_segment.comp", Old: `m = m0 + i % Local, t = i / Local;`, New: `m = m0 + i / Tokens, t = i % Tokens;`, Why: "row and token of a sum", Only: f16},
	{File: "matmul_segment.comp", Old: `k < SEGMENTS; k++) sum += partial[(t * SEGMENTS + k)`, New: `k < SEGMENTS; k++) sum += partial[(t * SEGMENTS + SEGMENTS - 1 - k)`, Why: "order of the segments", Only: f16, Test: "gpu TestExact$", Round: true},
	{File: "matmul_segment.comp", Old: `if (m < rows && t0 + t < push.tokens)`, New: `if (m < rows)`, Why: "tokens past the end are stored", Only: f16},
	{File: "lib/matmul.glsl", Old: `STEP = 4 / GROUPS;`, New: `STEP = 2 / GROUPS + 1 / GROUPS;`, Why: "segments that end within a tile's step", Only: "^matmul_(segment|tile)" + f16, Test: "gpu TestExact$", Round: true},
	{File: "lib/matmul.glsl", Old: `fma(lo.y, x_lo.y, fma(lo.x, x_lo.x, sum))));`, New: `fma(lo.x, x_lo.x, fma(lo.y, x_lo.y, sum))));`, Why: "order along a row", Only: "^matmul_segment" + f16, Test: "gpu TestExact$", Round: true},

	{File: "matmul_bcast.comp", Old: `2 * s * Tokens + t % Tokens`, New: `2 * s * Tokens + t % Tokens / 2 * 2`, Why: "lane that has a token", Only: f16},
	{File: "matmul_bcast.comp", Old: `min(t, push.tokens - 1) * p.x_stride`, New: `min(t0, push.tokens - 1) * p.x_stride`, Why: "token of a lane", Only: f16},
	{File: "matmul_bcast.comp", Old: `min(u + 8, units)`, New: `u + 8`, Why: "units past the end of a row", Only: "q4_0"},
	{File: "matmul_bcast.comp", Old: `uint c = h * GROUPS / SCALES + g;`, New: `uint c = h * GROUPS / SCALES;`, Why: "groups of a block", Only: "q4_0"},
	{File: "matmul_bcast.comp", Old: `load(0, u, c, 0);`, New: `load(0, u, 0, 0);`, Why: "groups of a block that are loaded one by one", Only: "q4_0"},
	{File: "matmul_bcast.comp", Old: `at < UNIT4 * units ? v : vec4(0.0)`, New: `true ? v : vec4(0.0)`, Why: "units past the end of a row", Only: f16},
	{File: "matmul_bcast.comp", Old: `(u += Turn * Span) < units`, New: `(u += Turn * Span) + 1 < units`, Why: "last unit of a row", Only: f16},
	{File: "matmul_bcast.comp", Old: `uint i = c * SCALES / GROUPS * TileTokens + t;`, New: `uint i = t;`, Why: "sum of x for the second half of a unit", Only: "q6_k"},
	{File: "matmul_bcast.comp", Old: `x_sum_of(0, t, x_sum[t])`, New: `x_sum_of(0, 0, x_sum[t])`, Why: "sum of x of a token", Only: "q4_0"},
	{File: "matmul_bcast.comp", Old: `if (m < p.rows && t < push.tokens)`, New: `if (m < p.rows)`, Why: "tokens past the end are stored", Only: f16},
	{File: "matmul_bcast.comp", Old: `false, plain ? TileRows : 0);`, New: `false, TileRows);`, Why: "parts that are not plain", Only: f16},

	{File: "matmul_hold.comp", Old: `subgroupQuadSwapDiagonal(weight)`, New: `subgroupQuadSwapVertical(weight)`, Why: "weights of the lane across", Only: f16},
	{File: "matmul_hold.comp", Old: `left = Band - m0 % Band;`, New: `left = Band;`, Why: "rows that begin within a band", Only: f16},
	{File: "matmul_hold.comp", Old: `begun ? sums[sum + t] : vec4(0.0)`, New: `vec4(0.0)`, Why: "sums of the elements before", Only: f16},
	{File: "matmul_hold.comp", Old: `at += next_band;`, New: ``, Why: "rows of the next band", Only: f16},
	{File: "matmul_hold.comp", Old: `k < p.units * UNIT4 ? V4(X, at + k) : vec4(0.0)`, New: `V4(X, at + k)`, Why: "x past the end of a row", Only: f16},

	{File: "matmul_narrow.comp", Old: `lane < 2 ? lane == 0 ? a : b : lane == 2 ? c : d`, New: `lane < 2 ? lane == 0 ? a : b : c`, Why: "sum of the fourth lane", Only: f16},
	{File: "matmul_narrow.comp", Old: `g += gl_SubgroupSize) {`, New: `g += gl_SubgroupSize + 1) {`, Why: "groups of a row", Only: f16},
	{File: "matmul_narrow.comp", Old: `m < rows && t < push.tokens) finish`, New: `t < push.tokens) finish`, Why: "rows past the end are stored", Only: f16},

	{File: "matmul_sparse.comp", Old: `subgroupBarrier(); // before the list is written again`, New: `// before the list is written again`, Why: "barrier before the list is written again", Only: f16,
		Equal: "a list is a subgroup's own, and the drivers here run its lanes in step"},
	{File: "matmul_sparse.comp", Old: "            n += subgroupBallotBitCount(some);\n        }\n        subgroupBarrier();", New: "            n += subgroupBallotBitCount(some);\n        }", Why: "barrier before the list is read", Only: f16,
		Equal: "a list is a subgroup's own, and the drivers here run its lanes in step"},
	{File: "matmul_sparse.comp", Old: "sums[at + 4] = hi[u][j];\n            }\n        barrier();", New: "sums[at + 4] = hi[u][j];\n            }", Why: "barrier before sums are read", Only: f16},
	{File: "matmul_sparse.comp", Old: `barrier(); // before the next unit's sums`, New: `// before the next unit's sums`, Why: "barrier before sums are written again", Only: f16, Test: "gpu4 TestSparse"},
	{File: "matmul_sparse.comp", Old: `i + a * slots < n ? list_x[at] : 0.0`, New: `list_x[at]`, Why: "entries past the end of the list", Only: f16},
	{File: "matmul_sparse.comp", Old: `list_k[at] = 4 * (c + lane) + j;`, New: `list_k[at] = 4 * (c + lane);`, Why: "element of an entry", Only: f16},
	{File: "matmul_panels.comp", Old: `(q[2 * r + 1][k / 2] >> 16 * (k % 2)) << 16`, New: `(q[2 * r + 1][k / 2] >> 16) << 16`, Why: "rows of odd number"},
	{File: "matmul_panels.comp", Old: `m / Band * Band * SIZE * push.units + m % Band`, New: `m * SIZE * push.units`, Why: "rows in bands"},
	{File: "matmul_panels.comp", Old: `m < push.rows ? w[at + Band * (SIZE * u + s)] : uvec4(0)`, New: `w[at + Band * (SIZE * u + s)]`, Why: "rows past the end",
		Equal: "they make columns of the last panel whose sums are not stored"},

	{File: "matmul_coop.comp", Old: `sums[a] = coopMatMulAddNV(w[i], x_rest, sums[a]);`, New: ``, Why: "what float16 rounds of x", Only: f16},
	{File: "matmul_coop.comp", Old: `if (SPLIT_W) sums[a] = coopMatMulAddNV(w_rest[i], x, sums[a]);`, New: ``, Why: "what float16 rounds of weights", Only: "f32"},
	{File: "matmul_coop.comp", Old: `power(254 - ex) * power(254 - ew)`, New: `power(254 - ex)`, Why: "scale of the weights", Only: "f32"},
	{File: "matmul_coop.comp", Old: `+= sums[i][e]; // whole matrices crash the optimiser
            barrier();`, New: `+= sums[i][e]; // whole matrices crash the optimiser`, Why: "barrier before the tile is written again", Only: f16},
	{File: "matmul_coop.comp", Old: `+ j * TOKENS - first) * SUMS`, New: `) * SUMS`, Why: "sums of a quarter's later tokens", Only: f16},
}

// matMul is a mutant of what all products share, made with one type.
func matMul(from, to, why string) mutant {
	return mutant{File: "lib/matmul.glsl", Old: from, New: to, Why: why, Only: "^matmul_(vec|reg|bcast)" + f16,
		Test: "lavapipe TestOps/.*/(auto|vec)/MatMul/[a-z]"}
}
