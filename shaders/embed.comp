#version 450
// op.Embed: Y[t] = layer_norm(W[token[t]]). One workgroup per row; three passes over a table row that the first brings
// into cache. The table may be bound in pieces of rows [first, first + count): rows of other pieces are skipped.
#include "lib/weights.glsl"
#include "lib/reduce.glsl"

layout(push_constant) uniform Push {
    uint width;
    uint units;    // of a stored row (lib/blocks.glsl)
    uint first;
    uint count;
    uint norm_w;   // offsets into params
    uint norm_b;
    float eps;
    uint plain;    // 1: no norm
} push;

layout(binding = 0) readonly buffer Tokens { uint tokens[]; };
WEIGHTS(1);
const uint Band = 1;
#include "lib/blocks.glsl"
FLOATS(2, Params);
layout(binding = 3) writeonly buffer Y { float y[]; };

// table4 returns elements 4*i .. 4*i+3 of a row.
vec4 table4(uint row, uint i) {
    vec4 lo, hi;
    weight8(fetch(row, i / UNIT4), i % UNIT4 / 2, lo, hi);
    return (i & 1) == 0 ? lo : hi;
}

void main() {
    uint row = gl_WorkGroupID.x;
    uint token = tokens[row] - push.first;
    if (token >= push.count) return;
    uint base = row_at(0, token, push.units);

    uint out_base = row * ((push.width + 7) & ~7u);
    if (push.plain != 0) {
        for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
            vec4 v = table4(base, i);
            for (uint j = 0; j < min(4, push.width - 4 * i); j++) y[out_base + 4 * i + j] = v[j];
        }
        return;
    }
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
        vec4 v = table4(base, i);
        for (uint j = 0; j < min(4, push.width - 4 * i); j++) sum += v[j];
    }
    float mean = workgroup_sum(sum) / float(push.width);
    float sq = 0.0;
    for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
        vec4 v = table4(base, i) - mean;
        for (uint j = 0; j < min(4, push.width - 4 * i); j++) sq += v[j] * v[j];
    }
    float rstd = inversesqrt(workgroup_sum(sq) / float(push.width) + push.eps);

    for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
        vec4 v = (table4(base, i) - mean) * rstd;
        for (uint j = 0; j < min(4, push.width - 4 * i); j++) {
            uint c = 4 * i + j;
            y[out_base + c] = v[j] * F(Params, push.norm_w + c) + F(Params, push.norm_b + c);
        }
    }
}
