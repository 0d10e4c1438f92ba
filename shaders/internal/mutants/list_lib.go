package main

// libMutants are those of what kernels share, but for blocks and products.
var libMutants = []mutant{
	{File: "lib/batch.glsl", Old: "uint slot;\n    uint start;", New: "uint start;\n    uint slot;",
		Why: "order of a span's fields", Only: "^(shift_mix|shift_commit|wkv4|wkv6|wkv7_shared)\\b", Test: "lavapipe TestOps/.*/auto/(ShiftMix|ShiftCommit|WKV)"},

	{File: "lib/reduce.glsl", Old: `if (Single == 0)`, New: `if (Single == 2)`,
		Why: "sum over subgroups"},
	{File: "lib/reduce.glsl", Old: `partial_sum[gl_SubgroupID] = v;`, New: `partial_sum[0] = v;`,
		Why: "place of a subgroup's sum"},
	{File: "lib/reduce.glsl", Old: `uint i = 0; i < gl_NumSubgroups`, New: `uint i = 1; i < gl_NumSubgroups`,
		Why: "sum of the first subgroup"},
	{File: "lib/reduce.glsl", Old: "        barrier();\n        v = 0.0;", New: "        v = 0.0;",
		Why: "barrier before partial sums are read"},
	{File: "lib/reduce.glsl", Old: `barrier(); // before the next sum writes`, New: `// before the next sum writes`,
		Why: "barrier before partial sums are written again"},
	{File: "lib/reduce.glsl", Old: `v = subgroupAdd(v);`, New: `v = subgroupMax(v);`,
		Why: "sum of a subgroup"},

	{File: "lib/load.glsl", Old: `U1(Name, i, c) texelFetch(Name, int(i))[c]`, New: `U1(Name, i, c) texelFetch(Name, int(i))[0]`,
		Why: "component of a texel", Only: "^(embed|matmul_vec)\\.(q5_0|q6_k)_tx", Test: "lavapipe TestOps/texels/auto/Embed"},
	{File: "lib/load.glsl", Old: `W1(i, c) texelFetch(W, int(i))[c]`, New: `W1(i, c) texelFetch(W, int(i))[c ^ 1]`,
		Why: "component of a weight that is a texel", Only: "^matmul_narrow\\.q", Test: "swiftshader TestOps/.*/auto/MatMul"},
	{File: "lib/load.glsl", Old: `F(Name, i) texelFetch(Name, int(i)).x`, New: `F(Name, i) texelFetch(Name, int((i) ^ 1)).x`,
		Why: "element of a texel buffer", Only: "^(layer_norm|wkv|deep_embed)", Test: "lavapipe TestOps/texels/auto/(LayerNorm|WKV|DeepEmbed)"},
	{File: "lib/load.glsl", Old: `U1(Name, i, c) Name##_at[i][c]`, New: `U1(Name, i, c) Name##_at[i][0]`,
		Why: "component of a storage buffer", Only: "^(embed|matmul_vec)\\.(q5_0|q6_k)$", Test: "lavapipe TestOps/buffers/(auto|vec)/(Embed|MatMul)/Q"},

	{File: "lib/weights.glsl", Old: `v + v - 6.103515625e-5`, New: `v + v`,
		Why: "subnormal halves without shifts", Only: "^matmul_(narrow|hold)\\.f16", Test: "swiftshader TestOps/.*/auto/MatMul"},
	{File: "lib/weights.glsl", Old: `vec4(unpack2(w.x), unpack2(w.y))`, New: `vec4(unpack2(w.x), unpack2(w.x))`,
		Why: "second word of four halves", Only: "^(matmul_vec|embed|matmul_reg)\\.f16", Test: "lavapipe TestOps/.*/vec/MatMul/F16"},
	{File: "lib/weights.glsl", Old: `uvec4(w.x << 16, w.x & 0xffff0000u,`, New: `uvec4(w.x << 16, w.x,`,
		Why: "low bits of a bfloat16", Only: "^(matmul_vec|embed|matmul_reg)\\.bf16", Test: "lavapipe TestOps/.*/vec/MatMul/BF16"},
	{File: "lib/weights.glsl", Old: `uvec2((w & 0x8000u) * 65536u,`, New: `uvec2(0u,`,
		Why: "sign of every other half", Only: "^matmul_(narrow|hold)\\.f16", Test: "swiftshader TestOps/.*/auto/MatMul"},

	{File: "lib/quad.glsl", Old: `subgroupQuadSwapVertical(x)`, New: `subgroupQuadSwapHorizontal(x)`,
		Why: "sum of the quad's other half"},
	{File: "lib/quad.glsl", Old: `x += subgroupQuadSwapHorizontal(x);`, New: ``,
		Why: "sum of the quad's neighbours"},

	{File: "lib/chunk.glsl", Old: `start / CHUNK + sequence`, New: `start / CHUNK`,
		Why: "chunks of two sequences in one place"},
	{File: "lib/chunk.glsl", Old: `Z_ROW = Y_ROW + CHUNK`, New: `Z_ROW = Y_ROW + CHUNK - 1`,
		Why: "vectors of a chunk that overlap"},

	{File: "lib/draw.glsl", Old: `>= 0x7F800000 && bits`, New: `> 0x7F800000 && bits`,
		Why: "infinity is no logit"},
	{File: "lib/draw.glsl", Old: ` && bits != 0xFF800000`, New: ``,
		Why: "a masked id is a logit"},
	{File: "lib/draw.glsl", Old: `DRAW_PENALTIES = 2, DRAW_MASK = 4`, New: `DRAW_PENALTIES = 4, DRAW_MASK = 2`,
		Why: "flags as the host has them"},
	{File: "lib/draw.glsl", Old: "float presence;\n    float frequency;", New: "float frequency;\n    float presence;",
		Why: "order of the penalties"},
}
