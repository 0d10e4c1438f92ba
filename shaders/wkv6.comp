#version 450
// op.WKV6, the recurrence: one workgroup per head and sequence, one invocation per value element, which keeps its column
// of the state in registers from the sequence's first token to its last. wkv6_norm.comp does the rest.
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/load.glsl"

layout(constant_id = 0) const uint N = 64;
layout(local_size_x_id = 0) in;

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
FLOATS(6, State);
layout(binding = 7) writeonly buffer StateOut { float state_out[]; }; // the same memory
layout(binding = 8) writeonly buffer Y { float y[]; };

const uint N4 = N / 4, MAX_N4 = 64; // see lib/reduce.glsl

void main() {
    uint head = gl_WorkGroupID.x, i = gl_LocalInvocationID.x;
    Span span = spans[gl_WorkGroupID.y];
    uint state_at = span.slot * push.state_stride + head * N * N + i;
    vec4 s[MAX_N4]; // of 4 keys each
    [[unroll]] for (uint j = 0; j < N4; j++)
        [[unroll]] for (uint c = 0; c < 4; c++) s[j][c] = F(State, state_at + (4 * j + c) * N);

    for (uint t = span.start; t < span.start + span.len; t++) {
        uint at = t * push.stride + head * N4;
        uint w_at = push.w + t * push.w_stride + head * N4;
        float v = F(V, 4 * at + i);
        float o = 0.0;
        [[unroll]] for (uint j = 0; j < N4; j++) {
            vec4 kv = V4(K, at + j) * v;
            o += dot(V4(R, at + j), V4(Params, push.u + head * N4 + j) * kv + s[j]);
            s[j] = kv + V4(W, w_at + j) * s[j];
        }
        y[4 * at + i] = o;
    }
    [[unroll]] for (uint j = 0; j < N4; j++)
        [[unroll]] for (uint c = 0; c < 4; c++) state_out[state_at + (4 * j + c) * N] = s[j][c];
}
