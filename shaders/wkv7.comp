#version 450
// op.WKV7, the recurrence, for GPUs: Split workgroups per head and sequence, of N invocations each. Split of them share
// a row of the state, which they keep in registers from the sequence's first token to its last. What depends on the
// column alone is made by one invocation of each workgroup for all, and handed round in shared memory, by turns, so
// that a token costs one barrier, or two if rows are shared. wkv7_norm.comp does the rest.
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/load.glsl"
#include "lib/heads.glsl"

const float MIN_NORM = 1e-12; // as model/op has it

layout(push_constant) uniform Push {
    uint stride;       // between tokens, in vec4
    uint state_stride; // between slots, in vec4
    uint kk;           // offsets into params, in vec4
    uint ka;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
FLOATS(1, R);
FLOATS(2, W);
FLOATS(3, K);
FLOATS(4, V);
FLOATS(5, A);
FLOATS(6, Params);
ALIASED VEC4S(7, State);
ALIASED layout(binding = 8) writeonly buffer StateOut { vec4 state_out[]; };
layout(binding = 9) writeonly buffer Y { float y[]; };

const uint DECAY = 0, Q = 1, KEY = 2, KK = 3, B = 4, KINDS = 5; // kk is not yet normalised, nor is it in b = kk * rate
shared vec4 made[2 * KINDS * MAX_N4];
shared vec2 dots[MAX_N]; // of what a lane has of a row: with kk, and of kk with itself

void main() {
    uint i = gl_LocalInvocationID.x, head = head_of(gl_WorkGroupID.x), row = row_of(gl_WorkGroupID.x, i), part = part_of(i);
    Span span = spans[gl_WorkGroupID.y];
    if (span.len == 0) return; // it has ended within a submission of several steps
    uint state_at = span.slot * push.state_stride + (head * N + row) * N4, mine = 4 * head * N4 + i;
    vec4 s[MAX_C];
    [[unroll]] for (uint j = 0; j < C; j++) s[j] = inside(part, j) ? V4(State, state_at + column(part, j)) : vec4(0.0);
    if (!ALL_COLUMNS && i < PITCH - N4)
        [[unroll]] for (uint kind = 0; kind < 2 * KINDS; kind++) made[kind * PITCH + N4 + i] = vec4(0.0);
    float mix_k = F(Params, 4 * push.kk + mine), mix_a = F(Params, 4 * push.ka + mine);

    uint last = span.start + span.len - 1, at = 4 * span.start * push.stride;
    float r = F(R, at + mine), w = F(W, at + mine), k = F(K, at + mine), rate = F(A, at + mine), v = F(V, at + mine - i + row);
    uint turn = 0;
    for (uint t = span.start; t <= last; t++, turn ^= 1) { // with its test at the end, a compiler for GPUs spills
        uint to = turn * KINDS * PITCH + i / 4, e = i % 4, from = turn * KINDS * PITCH + part * C;
        made[to + DECAY * PITCH][e] = w;
        made[to + Q * PITCH][e] = r;
        made[to + KEY * PITCH][e] = k * (1.0 + (rate - 1.0) * mix_a);
        made[to + KK * PITCH][e] = k * mix_k;
        made[to + B * PITCH][e] = k * mix_k * rate;
        // The next token's come while this one is worked on.
        float value = v;
        at = 4 * min(t + 1, last) * push.stride;
        r = F(R, at + mine), w = F(W, at + mine), k = F(K, at + mine), rate = F(A, at + mine), v = F(V, at + mine - i + row);
        barrier();
        if (Split > 1 && part == 0 && t > span.start) y[4 * ((t - 1) * push.stride + head * N4) + row] = row_sum(turn ^ 1, i);

        float sq = 0.0, sa = 0.0, o = 0.0;
        [[unroll]] for (uint j = 0; j < C; j++) {
            vec4 kk = made[from + KK * PITCH + j];
            sq += dot(kk, kk);
            sa -= dot(s[j], kk);
        }
        if (Split > 1) {
            dots[i] = vec2(sa, sq);
            barrier();
            sa = sq = 0.0;
            [[unroll]] for (uint p = 0; p < Split; p++) {
                sa += dots[p * ROWS + i % ROWS].x;
                sq += dots[p * ROWS + i % ROWS].y;
            }
        }
        float inv = 1.0 / max(sqrt(sq), MIN_NORM);
        sa *= inv * inv;
        [[unroll]] for (uint j = 0; j < C; j++) {
            s[j] = s[j] * made[from + DECAY * PITCH + j] + sa * made[from + B * PITCH + j] + value * made[from + KEY * PITCH + j];
            o += dot(s[j], made[from + Q * PITCH + j]);
        }
        if (Split == 1) y[4 * (t * push.stride + head * N4) + row] = o;
        else row_part[turn * N + i] = o; // summed behind the next barrier
        if (Split > 1 && t == last) {
            barrier();
            if (part == 0) y[4 * (last * push.stride + head * N4) + row] = row_sum(turn, i);
        }
    }
    [[unroll]] for (uint j = 0; j < C; j++)
        if (inside(part, j)) state_out[state_at + column(part, j)] = s[j];
}
