package main

// wkvMutants are those of the recurrences.
var wkvMutants = []mutant{
	{File: "wkv4.comp", Old: `max(x, -100.0)`, New: `max(x, -1.0)`, Why: "weights of what is long past"},
	{File: "wkv4.comp", Old: `float decayed = pp + w;`, New: `float decayed = pp;`, Why: "decay"},
	{File: "wkv4.comp", Old: `float now = u + k, most`, New: `float now = k, most`, Why: "bonus of the present token"},
	{File: "wkv4.comp", Old: `span.slot * push.stride + c`, New: `gl_WorkGroupID.y * push.stride + c`, Why: "slot of a sequence"},
	{File: "wkv4.comp", Old: `c >= push.width`, New: `c > push.width`, Why: "bound of the width"},
	{File: "wkv4.comp", Old: `state_bb[slot] = bb;`, New: `state_bb[slot] = aa;`, Why: "second state"},

	{File: "wkv6.comp", Old: `push.w + t * push.w_stride`, New: `push.w`, Why: "decay of each token"},
	{File: "wkv6.comp", Old: `V4(Params, push.u + head * N4 + j) * kv`, New: `kv`, Why: "bonus of the present token"},
	{File: "wkv6.comp", Old: `s[j] = kv + V4(W, w_at + j) * s[j];`, New: `s[j] = kv + s[j];`, Why: "decay"},
	{File: "wkv6.comp", Old: `state_out[state_at + (4 * j + c) * N] = s[j][c];`, New: `state_out[state_at + (4 * j + c) * N] = s[j][0];`, Why: "what is left for the next pass"},

	{File: "wkv6_norm.comp", Old: `if (unit >= push.tokens * push.heads) return;`, New: `if (unit + 1 >= push.tokens * push.heads) return;`, Why: "last head"},
	{File: "wkv6_norm.comp", Old: `inversesqrt(subgroupAdd(sq) / float(push.n) + push.eps)`, New: `inversesqrt(subgroupAdd(sq) / float(push.n))`, Why: "epsilon"},
	{File: "wkv6_norm.comp", Old: `push.norm_w + channel + c`, New: `push.norm_w + c`, Why: "weights of the second head"},
	{File: "wkv6_norm.comp", Old: `if (push.gated != 0) o *= F(G, at + c);`, New: `o *= F(G, at + c);`, Why: "models without a gate"},

	{File: "wkv6_narrow.comp", Old: `y[mine + 1] = o[1];`, New: `y[mine + 1] = o[0];`, Why: "second of a lane's results"},
	{File: "wkv6_narrow.comp", Old: `now = quad_sum(now);`, New: ``, Why: "sum over lanes"},
	{File: "wkv6_narrow.comp", Old: `value * k[c] + w[c] * s[i * C + c]`, New: `value * k[c] + w[0] * s[i * C + c]`, Why: "decay of a lane's other keys"},

	{File: "wkv7.comp", Old: `sq += dot(kk[j], kk[j]);`, New: `sq += dot(kk[j], kk[0]);`, Why: "norm of the key"},
	{File: "wkv7.comp", Old: `sa -= dot(s[j], kk[j]);`, New: `sa += dot(s[j], kk[j]);`, Why: "sign of what is removed"},
	{File: "wkv7.comp", Old: `(1.0 + (rate - 1.0) *`, New: `(1.0 + rate *`, Why: "rate of a key"},
	{File: "wkv7.comp", Old: `(head * N + i) * N4`, New: `head * N * N4`, Why: "row of the state"},

	{File: "wkv7_shared.comp", Old: `sa = subgroupAdd(sa);`, New: ``, Why: "sum over lanes"},
	{File: "wkv7_shared.comp", Old: `mine = lane == r % Local ? o : mine;`, New: `mine = o;`, Why: "row of a lane"},
	{File: "wkv7_shared.comp", Old: `float inside = c * Local + lane < N4 ? 1.0 : 0.0;`, New: `float inside = 1.0;`, Why: "lanes past the end of a row"},
	{File: "wkv7_shared.comp", Old: `b[c] *= kk[c];`, New: `b[c] = kk[c];`, Why: "rate of what is removed"},
	{File: "wkv7_shared.comp", Old: `gl_WorkGroupID.x % (N / Rows) * Rows`, New: `0`, Why: "rows of a workgroup"},

	{File: "wkv7_narrow.comp", Old: `sq += dot(x.a[c], x.a[c]);`, New: `sq += dot(x.a[0], x.a[0]);`, Why: "norm of the key"},
	{File: "wkv7_narrow.comp", Old: `return quad_sum(dots);`, New: `return dots;`, Why: "sum over lanes"},
	{File: "wkv7_narrow.comp", Old: `if (span.len == 0) return;`, New: ``, Why: "a sequence that has ended within a submission", Test: "swiftshader TestEndedKeepsState|TestDrawEnds"},
	{File: "wkv7_narrow.comp", Old: `mine += 4 * span.start * push.stride;`, New: ``, Why: "row of a second sequence in a step", Only: "step", Test: "swiftshader TestOps/.*/auto/WKV7"},

	{File: "wkv7_step.comp", Old: `if (span.len == 0) return;`, New: ``, Why: "a sequence that has ended within a submission", Test: "lavapipe TestEndedKeepsState|TestDrawEnds"},
	{File: "wkv7_step.comp", Old: `bonus = subgroupAdd(bonus);`, New: ``, Why: "sum over lanes"},
	{File: "wkv7_step.comp", Old: `b[c] *= kk[c];`, New: `b[c] = -kk[c];`, Why: "rate of what is removed"},
	{File: "wkv7_step.comp", Old: `workgroup_sum(var) / float(N) + push.eps`, New: `workgroup_sum(var) / float(N)`, Why: "epsilon"},
	{File: "wkv7_step.comp", Old: `uint first = gl_SubgroupID * Part,`, New: `uint first = 0,`, Why: "rows of a subgroup", Test: "gpu TestOps/.*/auto/WKV7"},
	{File: "wkv7_step.comp", Old: `normed + bonus * F(V, 4 * at + i)`, New: `normed + F(V, 4 * at + i)`, Why: "bonus of the present token"},

	{File: "wkv7_norm.comp", Old: `bonus = subgroupAdd(bonus);`, New: ``, Why: "sum over lanes"},
	{File: "wkv7_norm.comp", Old: `(F(A, at + c) - 1.0)`, New: `F(A, at + c)`, Why: "rate of a key"},
	{File: "wkv7_norm.comp", Old: `unit % push.heads * push.n;`, New: `0;`, Why: "channel of the second head"},
	{File: "wkv7_norm.comp", Old: `if (unit >= push.tokens * push.heads) return;`, New: ``, Why: "bound of the heads"},

	{File: "wkv7_chunk.comp", Old: "        squares[lane / 4][lane % 4] = sum;\n    }\n    barrier();", New: "        squares[lane / 4][lane % 4] = sum;\n    }", Why: "barrier before squares are read"},
	{File: "wkv7_chunk.comp", Old: "if (!values) chunks[to + P_ROW * N + j] = p;\n    }\n    barrier();", New: "if (!values) chunks[to + P_ROW * N + j] = p;\n    }", Why: "barrier before rows are read"},
	{File: "wkv7_chunk.comp", Old: "products[2 * CHUNK * g + CHUNK + t] = r;\n    }\n    barrier();", New: "products[2 * CHUNK * g + CHUNK + t] = r;\n    }", Why: "barrier before products are read"},
	{File: "wkv7_chunk.comp", Old: `if (s >= t) a[c] = 0.0;`, New: `if (s > t) a[c] = 0.0;`, Why: "a token's share in its own removal"},
	{File: "wkv7_chunk.comp", Old: `p *= t < n ? w[i] : 1.0;`, New: `p *= w[i];`, Why: "decay past the end of a sequence"},
	{File: "wkv7_chunk.comp", Old: `spans[middle].start, middle) <= chunk`, New: `spans[middle].start, middle) < chunk`, Why: "sequence of a chunk"},

	{File: "wkv7_scan.comp", Old: `barrier(); // the state and the queries are there`, New: `// the state and the queries are there`, Why: "barrier before the state is read"},
	{File: "wkv7_scan.comp", Old: `barrier(); // the updates and factors are there`, New: `// the updates and factors are there`, Why: "barrier before updates are read"},
	{File: "wkv7_scan.comp", Old: `load(b, next + B_ROW * N4);`, New: `load(b, at + B_ROW * N4);`, Why: "updates of the next chunk"},
	{File: "wkv7_scan.comp", Old: `bool here = first + t < end;`, New: `bool here = true;`, Why: "values past the end of a sequence"},
	{File: "wkv7_scan.comp", Old: `if (low) state_out[state_at] = state[i * PITCH + j];`, New: `state_out[state_at] = state[i * PITCH + j];`, Why: "invocations without a row"},
}
