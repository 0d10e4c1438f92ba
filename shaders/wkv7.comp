#version 450
// op.WKV7, the recurrence: one workgroup per head and sequence, one invocation per value element, which keeps its row
// of the state in registers from the sequence's first token to its last. Each invocation normalises the head's key for
// itself: N products more, and no barrier. wkv7_norm.comp does the rest.
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"

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
layout(binding = 1) readonly buffer R { vec4 r[]; };
layout(binding = 2) readonly buffer W { vec4 w[]; };
layout(binding = 3) readonly buffer K { vec4 k[]; };
layout(binding = 4) readonly buffer V { float v[]; };
layout(binding = 5) readonly buffer A { vec4 a[]; };
layout(binding = 6) readonly buffer Params { vec4 params[]; };
layout(binding = 7) buffer State { vec4 state[]; };
layout(binding = 8) writeonly buffer Y { float y[]; };

const uint N4 = N / 4;

void main() {
    uint head = gl_WorkGroupID.x, i = gl_LocalInvocationID.x;
    Span span = spans[gl_WorkGroupID.y];
    uint state_at = span.slot * push.state_stride + (head * N + i) * N4;
    vec4 s[N4];
    [[unroll]] for (uint j = 0; j < N4; j++) s[j] = state[state_at + j];

    for (uint t = span.start; t < span.start + span.len; t++) {
        uint at = t * push.stride + head * N4;
        vec4 kk[N4];
        float sq = 0.0;
        [[unroll]] for (uint j = 0; j < N4; j++) {
            kk[j] = k[at + j] * params[push.kk + head * N4 + j];
            sq += dot(kk[j], kk[j]);
        }
        float inv = 1.0 / max(sqrt(sq), MIN_NORM);
        float sa = 0.0;
        [[unroll]] for (uint j = 0; j < N4; j++) {
            kk[j] *= inv;
            sa -= dot(s[j], kk[j]);
        }
        float vi = v[4 * at + i];
        float o = 0.0;
        [[unroll]] for (uint j = 0; j < N4; j++) {
            vec4 rate = a[at + j];
            vec4 key = k[at + j] * (1.0 + (rate - 1.0) * params[push.ka + head * N4 + j]);
            s[j] = s[j] * w[at + j] + sa * (kk[j] * rate) + vi * key;
            o += dot(s[j], r[at + j]);
        }
        y[4 * at + i] = o;
    }
    [[unroll]] for (uint j = 0; j < N4; j++) state[state_at + j] = s[j];
}
