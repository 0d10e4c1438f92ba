#version 450
// op.WKV6, the recurrence: Split workgroups per head and sequence, of N invocations each. Split of them share a column
// of the state, which they keep in registers from the sequence's first token to its last. As in wkv7.comp, one
// invocation of each workgroup loads what a key's element needs for all, and hands it round in shared memory; with
// Direct = 1, where invocations are emulated and a barrier costs more than loads, each loads all. wkv6_norm.comp does
// the rest.
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/load.glsl"
#define MAX_C 32 // where one has a whole column
#include "lib/heads.glsl"

layout(constant_id = 2) const uint Direct = 0; // with Split = 1

layout(push_constant) uniform Push {
    uint stride;       // between tokens, in vec4
    uint state_stride; // between slots
    uint w;            // the first decay, in vec4
    uint w_stride;     // between tokens' decays, in vec4; 0 if they share one
    uint u;            // offset into params, in vec4
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
VEC4S(1, R);
VEC4S(2, W);
VEC4S(3, K);
FLOATS(4, V);
VEC4S(5, Params);
ALIASED FLOATS(6, State);
ALIASED layout(binding = 7) writeonly buffer StateOut { float state_out[]; };
layout(binding = 8) writeonly buffer Y { float y[]; };

const uint KEY = 0, DECAY = 1, Q = 2, KINDS = 3;
shared vec4 made[2 * KINDS * MAX_N4], first[MAX_N4]; // first: how much of a token's own key and value it sees

void main() {
    uint i = gl_LocalInvocationID.x, head = head_of(gl_WorkGroupID.x), value = row_of(gl_WorkGroupID.x, i), part = part_of(i);
    Span span = spans[gl_WorkGroupID.y];
    if (span.len == 0) return; // it has ended within a submission of several steps
    uint state_at = span.slot * push.state_stride + head * N * N + value, channel = head * N4, mine = channel + i / 4, e = i % 4;
    vec4 s[MAX_C]; // of 4 keys each
    [[unroll]] for (uint j = 0; j < C; j++)
        [[unroll]] for (uint c = 0; c < 4; c++)
            s[j][c] = inside(part, j) ? F(State, state_at + (4 * column(part, j) + c) * N) : 0.0;

    uint last = span.start + span.len - 1, at = span.start * push.stride;
    float r, w, k, v = F(V, 4 * (at + channel) + value);
    if (Direct == 0) {
        if (!ALL_COLUMNS && i < PITCH - N4) {
            first[N4 + i] = vec4(0.0);
            [[unroll]] for (uint kind = 0; kind < 2 * KINDS; kind++) made[kind * PITCH + N4 + i] = vec4(0.0);
        }
        first[i / 4][e] = V4(Params, push.u + mine)[e];
        r = V4(R, at + mine)[e], k = V4(K, at + mine)[e], w = V4(W, push.w + span.start * push.w_stride + mine)[e];
    }
    uint turn = 0, t = span.start;
    do {
        uint to = turn * KINDS * PITCH + i / 4, from = turn * KINDS * PITCH + part * C;
        uint here = t * push.stride + channel, w_here = push.w + t * push.w_stride + channel, next = min(t + 1, last);
        float vi = v;
        v = F(V, 4 * (next * push.stride + channel) + value);
        if (Direct == 0) {
            made[to + KEY * PITCH][e] = k;
            made[to + DECAY * PITCH][e] = w;
            made[to + Q * PITCH][e] = r;
            // The next token's come while this one is worked on.
            r = V4(R, next * push.stride + mine)[e], k = V4(K, next * push.stride + mine)[e];
            w = V4(W, push.w + next * push.w_stride + mine)[e];
            barrier();
            if (Split > 1 && part == 0 && t > span.start) y[4 * ((t - 1) * push.stride + channel) + value] = row_sum(turn ^ 1, i);
        }
        float o = 0.0;
        [[unroll]] for (uint j = 0; j < C; j++) {
            vec4 kv = (Direct != 0 ? V4(K, here + j) : made[from + KEY * PITCH + j]) * vi;
            vec4 u = Direct != 0 ? V4(Params, push.u + channel + j) : first[part * C + j];
            o += dot(Direct != 0 ? V4(R, here + j) : made[from + Q * PITCH + j], u * kv + s[j]);
            s[j] = kv + (Direct != 0 ? V4(W, w_here + j) : made[from + DECAY * PITCH + j]) * s[j];
        }
        if (Split == 1) y[4 * here + value] = o;
        else row_part[turn * N + i] = o; // summed behind the next barrier
        turn ^= 1;
    } while (++t <= last);
    if (Split > 1) {
        barrier();
        if (part == 0) y[4 * (last * push.stride + channel) + value] = row_sum(turn ^ 1, i);
    }
    [[unroll]] for (uint j = 0; j < C; j++)
        [[unroll]] for (uint c = 0; c < 4; c++)
            if (inside(part, j)) state_out[state_at + (4 * column(part, j) + c) * N] = s[j][c];
}
