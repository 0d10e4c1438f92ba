#version 450
// op.Embed: Y[t] = layer_norm(Table[token[t]]). One workgroup per row; three passes over a table row that the first
// brings into cache. The table may be bound in pieces of rows [first, first + count): rows of other pieces are skipped.
#include "lib/weights.glsl"
#include "lib/reduce.glsl"

layout(push_constant) uniform Push {
    uint width;
    uint width4;   // 4-element groups of a stored row, padding included
    uint first;
    uint count;
    uint norm_w;   // offsets into params
    uint norm_b;
    float eps;
    uint plain;    // 1: no norm
} push;

layout(binding = 0) readonly buffer Tokens { uint tokens[]; };
WEIGHT4S(1, Table);
FLOATS(2, Params);
layout(binding = 3) writeonly buffer Y { float y[]; };

void main() {
    uint row = gl_WorkGroupID.x;
    uint token = tokens[row] - push.first;
    if (token >= push.count) return;
    uint base = token * push.width4;

    uint out_base = row * ((push.width + 7) & ~7u);
    if (push.plain != 0) {
        for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
            vec4 v = W4(Table, base + i);
            for (uint j = 0; j < min(4, push.width - 4 * i); j++) y[out_base + 4 * i + j] = v[j];
        }
        return;
    }
    float sum = 0.0;
    for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
        vec4 v = W4(Table, base + i);
        for (uint j = 0; j < min(4, push.width - 4 * i); j++) sum += v[j];
    }
    float mean = workgroup_sum(sum) / float(push.width);
    float sq = 0.0;
    for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
        vec4 v = W4(Table, base + i) - mean;
        for (uint j = 0; j < min(4, push.width - 4 * i); j++) sq += v[j] * v[j];
    }
    float rstd = inversesqrt(workgroup_sum(sq) / float(push.width) + push.eps);

    for (uint i = gl_LocalInvocationID.x; 4 * i < push.width; i += Local) {
        vec4 v = (W4(Table, base + i) - mean) * rstd;
        for (uint j = 0; j < min(4, push.width - 4 * i); j++) {
            uint c = 4 * i + j;
            y[out_base + c] = v[j] * F(Params, push.norm_w + c) + F(Params, push.norm_b + c);
        }
    }
}
