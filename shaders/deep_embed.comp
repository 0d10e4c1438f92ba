#version 450
// op.DeepEmbed: Y[t] = H[t] * Table[token[t]], a matrix. One invocation per 4 columns of a row; lanes that are
// neighbours read neighbouring columns. The table may be bound in pieces of rows [first, first + count): tokens of
// other pieces are skipped.
#include "lib/weights.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint rows;
    uint inner;    // rows of a token's matrix
    uint columns4; // its columns, in groups of 4
    uint width4;   // 4-element groups of a stored token's matrix, padding included
    uint first;
    uint count;
    uint h_stride; // between tokens
    uint y_stride;
} push;

layout(binding = 0) readonly buffer Tokens { uint tokens[]; };
WEIGHT4S(1, Table);
FLOATS(2, H);
layout(binding = 3) writeonly buffer Y { float y[]; };

void main() {
    uint row = gl_GlobalInvocationID.x / push.columns4, g = gl_GlobalInvocationID.x % push.columns4;
    if (row >= push.rows) return;
    uint token = tokens[row] - push.first;
    if (token >= push.count) return;
    uint at = token * push.width4 + g;
    vec4 sum = vec4(0.0);
    uint i = 0;
    do sum += F(H, row * push.h_stride + i) * W4(Table, at + i * push.columns4);
    while (++i < push.inner);
    uint out_at = row * push.y_stride + 4 * g;
    y[out_at] = sum.x;
    y[out_at + 1] = sum.y;
    y[out_at + 2] = sum.z;
    y[out_at + 3] = sum.w;
}
