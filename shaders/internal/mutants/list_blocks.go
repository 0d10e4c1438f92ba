package main

import "strings"

// blockMutants are those of lib/blocks.glsl: how each type is unpacked, and where rows lie.
var blockMutants = []mutant{
	blocks("Q8_0", `p.q1 = W16(AT(CODES + 2 * j + 1));`, `p.q1 = W16(AT(CODES + 2 * j));`, "second half of a block"),
	blocks("Q8_0", `ivec4(24, 16, 8, 0) >> 24`, `ivec4(24, 16, 8, 8) >> 24`, "fourth code of a word"),
	blocks("Q8_0", `k < 4 ? p.q[k] : p.q1[k - 4]`, `k < 3 ? p.q[k] : p.q1[k - 3 & 3]`, "codes of the second half"),
	blocks("Q4_0", `p.m = -8.0 * p.s;`, `p.m = -7.0 * p.s;`, "offset of the codes"),
	blocks("Q4_1", `SIZE = 10, CODES = 2`, `SIZE = 10, CODES = 1`, "place of the nibbles"),
	blocks("Q5_0", `p.m = -16.0 * p.s;`, `p.m = -15.0 * p.s;`, "offset of the codes"),
	blocks("Q5_1", `p.high = W1(AT(HIGH + (j >> 2)), j & 3);`, `p.high = W1(AT(HIGH), j & 3);`, "fifth bits of the second half"),
	blocks("Q4_K", `low & 15u | (high & 3u) << 4`, `low & 15u | (high & 1u) << 4`, "sixth bit of a scale"),
	blocks("Q4_K", `low >> 4 & 15u | (high & 12u) << 2`, `low >> 4 & 15u | (high & 12u) << 1`, "high bits of a minimum"),
	blocks("Q4_K", `(j < 4 ? head.y : head.z)`, `(j < 5 ? head.y : head.z)`, "scale of the fifth unit"),
	blocks("Q4_K", `p.m = -sm.yy;`, `p.m = sm.yy;`, "sign of the minimum"),
	blocks("Q5_K", `return low | (p.high >> k & 0x01010101u) << 4;`, `return low | (p.high >> k & 0x01010101u) << 3;`, "fifth bit of a code"),
	blocks("Q6_K", `vec2(scales << 24 >> 24, scales << 16 >> 24)`, `vec2(scales << 24 >> 24, scales << 24 >> 24)`, "scale of the second half"),
	blocks("Q6_K", `p.pairs[k >> 2] >> 2 * (k & 3)`, `p.pairs[k >> 2] >> (k & 3)`, "pairs of bits"),
	blocks("Q6_K", `p.m = -32.0 * p.s;`, `p.m = -31.0 * p.s;`, "offset of the codes"),
	blocks("Q3_K", `(p.high >> k & 0x01010101u) << 2;`, `(p.high >> k & 0x01010101u) << 1;`, "third bit of a code"),
	blocks("Q3_K", `(vec2(six(head, j)) - 32.0)`, `vec2(six(head, j))`, "offset of the scales"),
	blocks("IQ4_NL", `0x26190d01u`, `0x26190d02u`, "one level of sixteen"),
	blocks("IQ4_NL", `(i & 8) != 0 ? upper : lower`, `(i & 8) == 0 ? upper : lower`, "levels above zero"),
	{File: "lib/blocks.glsl", Old: `uint odd) { return odd != 0 ? w.zw : w.xy; }`, New: `uint odd) { return w.xy; }`,
		Why: "words of every other unit", Only: "^matmul_(vec|bcast|reg)\\.(q6_k|q3_k)", Test: "lavapipe TestOps/.*/(vec|auto)/MatMul/Q[36]_K"},
	{File: "lib/blocks.glsl", Old: "#ifndef PLAIN\n    uint h = c * SCALES / GROUPS;", New: "#ifndef PLAIN\n    uint h = 0;",
		Why: "scale of the second half of a unit", Only: "^(embed|matmul_bcast|matmul_tile)\\.q6_k", Test: "lavapipe TestOps/.*/auto/(Embed|MatMul)/Q6_K"},
	{File: "lib/blocks.glsl", Old: `m / Band * Band * words(units) + m % Band`, New: `m * words(units)`,
		Why: "rows in bands", Only: "^matmul_(vec|bcast|reg)\\.f16", Test: "lavapipe TestOps/.*/auto/MatMul/F16"},
	{File: "lib/blocks.glsl", Old: `i / Line * Line * Band + i % Line`, New: `i * Band`,
		Why: "lines of a wide band", Only: "^matmul_bcast\\.q4_k", Test: "lavapipe TestOps/.*/bcast/MatMul/Q4_K"},
	{File: "lib/blocks.glsl", Old: `+ Line - 1) / Line * Line; }`, New: `); }`,
		Why: "rows of whole lines", Only: "^matmul_bcast\\.q4_k", Test: "lavapipe TestOps/.*/bcast/MatMul/Q4_K"},
	{File: "lib/blocks.glsl", Old: `SIZE * ((units + 7) >> 3)`, New: `SIZE * (units >> 3)`,
		Why: "superblocks of a row that ends in one", Only: "^(matmul_(vec|bcast|reg)|embed)\\.q4_0", Test: "lavapipe TestOps/.*/auto/(Embed|MatMul)/Q4_0"},
	{File: "lib/blocks.glsl", Old: `return Packed(W16(row + Band * 2 * u), W16(row + Band * (2 * u + 1)));`, New: `return Packed(W16(row + Band * 2 * u), W16(row + Band * 2 * u));`,
		Why: "second word of 8 floats", Only: "^(matmul_(vec|bcast|reg)|embed)\\.f32", Test: "lavapipe TestOps/.*/auto/(Embed|MatMul)/F32"},
	{File: "lib/blocks.glsl", Old: `return Head(W16(AT(0)), W16(AT(1)));`, New: `return Head(W16(AT(0)), W16(AT(0)));`,
		Why: "second word of a superblock's head", Only: "^matmul_bcast\\.(q4_1|q5_1|q6_k)", Test: "lavapipe TestOps/.*/bcast/MatMul/Q"},
	{File: "lib/blocks.glsl", Old: `return h == 0 ? p.m.x : p.m.y; }`, New: `return 0.0; }`,
		Why: "minima", Only: "^matmul_(vec|bcast)\\.q4_1", Test: "lavapipe TestOps/.*/(vec|bcast)/MatMul/Q4_1"},
	{File: "lib/blocks.glsl", Old: `w << TOP - 8, w << TOP - 16`, New: `w << TOP - 8, w << TOP - 8`, Why: "third code of a word, as emulated lanes take it",
		Only: "^matmul_(bcast|reg)\\.q4_0", Test: "lavapipe TestOps/.*/(reg|bcast)/MatMul/Q4_0"},
	{File: "lib/blocks.glsl", Old: `BITS == 4 ? p.q[c] >> 4 : codes4(p, 2 * c + 1)`, New: `BITS == 4 ? p.q[c] : codes4(p, 2 * c)`, Why: "second half of a group, as emulated lanes take it",
		Only: "^matmul_(bcast|reg)\\.q5_0", Test: "lavapipe TestOps/.*/(reg|bcast)/MatMul/Q5_0"},
	{File: "lib/blocks.glsl", Old: `fma(minimum(p, h) - s, x_sum, to)`, New: `fma(minimum(p, h), x_sum, to)`, Why: "what emulated lanes take for the point of a code",
		Only: "^matmul_(bcast|reg)\\.q4_k", Test: "lavapipe TestOps/.*/(reg|bcast)/MatMul/Q4_K"},

	group8("q5_0", `j & 3) >> 2 * c;`, `j & 3) >> c;`, "fifth bits of a lane's group"),
	group8("q8_0", `W1(k, 2 * (c & 1) + 1)`, `W1(k, 2 * (c & 1))`, "second word of a lane's group"),
	group8("q6_k", `2 * (j & 1) + (c >> 1)) >> 4 * (c & 1);
#endif
#ifdef HIGH`, `2 * (j & 1) + (c >> 1));
#endif
#ifdef HIGH`, "pairs of bits of a lane's group"),
	group8("q3_k", `p.q.x = W1(AT(CODES + (j >> 1)), 2 * (j & 1) + (c >> 1))`, `p.q.x = W1(AT(CODES + (j >> 1)), 2 * (j & 1))`, "word of a lane's group"),
	group8("q4_0", `p.q.x = W1(AT(CODES + j), c);`, `p.q.x = W1(AT(CODES + j), 0);`, "word of a lane's group"),
	group8("q6_k", `p.s.x = scale(p, h);`, ``, "scale of a lane's group"),
}

// group8 is a mutant of how a lane that shares a unit reads its group of it.
func group8(typ, from, to, why string) mutant {
	return mutant{File: "lib/blocks.glsl", Old: from, New: to, Why: strings.ToUpper(typ) + ": " + why, Only: "^matmul_vec\\." + typ,
		Test: "lavapipe TestOps/.*/shared/MatMul/" + strings.ToUpper(typ) + "/"}
}

// blocks is a mutant of how one type is unpacked, in the kernels that all devices have.
func blocks(typ, from, to, why string) mutant {
	return mutant{File: "lib/blocks.glsl", Old: from, New: to, Why: typ + ": " + why,
		Only: "^(embed|matmul_(vec|reg|bcast))\\." + lower(typ) + "(_tx)?$", Test: "lavapipe TestOps/.*/(auto|vec)/(Embed|MatMul)/" + typ + "/"}
}
