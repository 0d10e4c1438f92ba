#version 450
// op.WKV7, the recurrence: one workgroup per head and sequence, one invocation per value element, which keeps its row
// of the state in registers from the sequence's first token to its last. Each invocation normalises the head's key for
// itself: N products more, and no barrier. wkv7_norm.comp does the rest.
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/load.glsl"

layout(constant_id = 0) const uint N = 64;
layout(local_size_x_id = 0) in;

const float MIN_NORM = 1e-12; // as model/op has it

layout(push_constant) uniform Push {
    uint stride;       // between tokens, in vec4
    uint state_stride; // between slots, in vec4
    uint kk;           // offsets into params, in vec4
    uint ka;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
VEC4S(1, R);
VEC4S(2, W);
VEC4S(3, K);
FLOATS(4, V);
VEC4S(5, A);
VEC4S(6, Params);
VEC4S(7, State);
layout(binding = 8) writeonly buffer StateOut { vec4 state_out[]; }; // the same memory
layout(binding = 9) writeonly buffer Y { float y[]; };

const uint N4 = N / 4, MAX_N4 = 64; // see lib/reduce.glsl

void main() {
    uint head = gl_WorkGroupID.x, i = gl_LocalInvocationID.x;
    Span span = spans[gl_WorkGroupID.y];
    uint state_at = span.slot * push.state_stride + (head * N + i) * N4;
    vec4 s[MAX_N4];
    [[unroll]] for (uint j = 0; j < N4; j++) s[j] = V4(State, state_at + j);

    for (uint t = span.start; t < span.start + span.len; t++) {
        uint at = t * push.stride + head * N4;
        vec4 kk[MAX_N4];
        float sq = 0.0;
        [[unroll]] for (uint j = 0; j < N4; j++) {
            kk[j] = V4(K, at + j) * V4(Params, push.kk + head * N4 + j);
            sq += dot(kk[j], kk[j]);
        }
        float inv = 1.0 / max(sqrt(sq), MIN_NORM);
        float sa = 0.0;
        [[unroll]] for (uint j = 0; j < N4; j++) {
            kk[j] *= inv;
            sa -= dot(s[j], kk[j]);
        }
        float vi = F(V, 4 * at + i);
        float o = 0.0;
        [[unroll]] for (uint j = 0; j < N4; j++) {
            vec4 rate = V4(A, at + j);
            vec4 key = V4(K, at + j) * (1.0 + (rate - 1.0) * V4(Params, push.ka + head * N4 + j));
            s[j] = s[j] * V4(W, at + j) + sa * (kk[j] * rate) + vi * key;
            o += dot(s[j], V4(R, at + j));
        }
        y[4 * at + i] = o;
    }
    [[unroll]] for (uint j = 0; j < N4; j++) state_out[state_at + j] = s[j];
}
