#version 450
// op.WKV6, the recurrence, for heads of 64 where wkv7_narrow.comp is RWKV-7's, and in the same way: lanes share the
// keys of each value. wkv6_norm.comp does the rest.
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/load.glsl"
#include "lib/quad.glsl"

layout(local_size_x = 4) in;

layout(push_constant) uniform Push {
    uint stride;       // between tokens, in vec4
    uint state_stride; // between slots
    uint w;            // the first decay, in vec4
    uint w_stride;     // between tokens' decays, in vec4; 0 if they share one
    uint u;            // offset into params, in vec4
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
VEC4S(1, R);
layout(binding = 2) readonly buffer W { vec4 decays[]; };
VEC4S(3, K);
layout(binding = 4) readonly buffer V { float v[]; };
layout(binding = 5) readonly buffer Params { vec4 params[]; };
ALIASED layout(binding = 6) readonly buffer State { float state[]; };
ALIASED layout(binding = 7) writeonly buffer StateOut { float state_out[]; };
layout(binding = 8) writeonly buffer Y { float y[]; };

const uint N = 64, VALUES = 8, PARTS = N / VALUES; // of a workgroup
const uint LANES = 4, C = N / 4 / LANES;           // times 4 keys that a lane has, LANES apart

void main() {
    uint lane = gl_SubgroupInvocationID, head = gl_WorkGroupID.x / PARTS, part = gl_WorkGroupID.x % PARTS;
    Span span = spans[gl_WorkGroupID.y];
    uint column = head * (N / 4) + lane;
    uint state_at = span.slot * push.state_stride + (head * N + 4 * lane) * N + part * VALUES;

    vec4 u[C], s[VALUES * C];
    [[unroll]] for (uint c = 0; c < C; c++) {
        u[c] = params[push.u + column + LANES * c];
        [[unroll]] for (uint i = 0; i < VALUES; i++)
            [[unroll]] for (uint e = 0; e < 4; e++) s[i * C + c][e] = state[state_at + (4 * LANES * c + e) * N + i];
    }

    for (uint t = span.start; t < span.start + span.len; t++) {
        uint at = t * push.stride + column, w_at = push.w + t * push.w_stride + column;
        vec4 k[C], w[C], q[C];
        float now = 0.0; // what a value's own token adds, for each of it
        [[unroll]] for (uint c = 0; c < C; c++) {
            k[c] = V4(K, at + LANES * c);
            w[c] = decays[w_at + LANES * c];
            q[c] = V4(R, at + LANES * c);
            now += dot(q[c], u[c] * k[c]);
        }
        now = quad_sum(now);

        // Values and results are spread over the lanes: lane l has those numbered 2*l and 2*l + 1.
        uint mine = 4 * t * push.stride + head * N + part * VALUES + 2 * lane;
        vec2 values = vec2(v[mine], v[mine + 1]), o = vec2(0.0);
        vec2 of_lane[LANES] = {subgroupBroadcast(values, 0), subgroupBroadcast(values, 1),
                               subgroupBroadcast(values, 2), subgroupBroadcast(values, 3)};
        [[unroll]] for (uint i = 0; i < VALUES; i++) {
            float before = 0.0, value = of_lane[i / 2][i % 2];
            [[unroll]] for (uint c = 0; c < C; c++) {
                before += dot(q[c], s[i * C + c]);
                s[i * C + c] = value * k[c] + w[c] * s[i * C + c];
            }
            before = quad_sum(before);
            o[i % 2] = lane == i / 2 ? before : o[i % 2];
        }
        o += values * now;
        y[mine] = o[0];
        y[mine + 1] = o[1];
    }
    [[unroll]] for (uint c = 0; c < C; c++)
        [[unroll]] for (uint i = 0; i < VALUES; i++)
            [[unroll]] for (uint e = 0; e < 4; e++) state_out[state_at + (4 * LANES * c + e) * N + i] = s[i * C + c][e];
}
