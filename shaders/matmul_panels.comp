#version 450
// Copies a matrix of a plain type for matmul_sparse: rows of K elements become panels of 8 * wide rows, where the
// elements of one k lie side by side. An invocation turns 8 x 8 elements. Rows past the end are zeros.
#extension GL_EXT_control_flow_attributes : require

layout(constant_id = 0) const uint Local = 64;
layout(constant_id = 1) const uint Band = 1; // of the rows (lib/blocks.glsl)
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Push {
    uint first; // word where the rows begin
    uint rows;
    uint units; // of a row
    uint wide;  // units across a panel
} push;

layout(binding = 0) readonly buffer W { uvec4 w[]; };
layout(binding = 1) writeonly buffer P { uvec4 p[]; };

#ifdef WORDS
const uint SIZE = 2; // uvec4 of a unit
#else
const uint SIZE = 1;
#endif

void main() {
    uint u = gl_GlobalInvocationID.x, eight = gl_WorkGroupID.y; // of K, of rows
    if (u >= push.units) return;
    uvec4 q[8 * SIZE];
    [[unroll]] for (uint r = 0; r < 8; r++) {
        uint m = 8 * eight + r, at = push.first + m / Band * Band * SIZE * push.units + m % Band;
        [[unroll]] for (uint s = 0; s < SIZE; s++)
            q[r * SIZE + s] = m < push.rows ? w[at + Band * (SIZE * u + s)] : uvec4(0);
    }
    uint to = (eight / push.wide * 8 * push.units + 8 * u) * push.wide + eight % push.wide;
    [[unroll]] for (uint k = 0; k < 8; k++) {
#ifdef WORDS
        [[unroll]] for (uint s = 0; s < 2; s++)
            p[(to + k * push.wide) * 2 + s] = uvec4(q[8 * s + k / 4][k % 4], q[8 * s + 2 + k / 4][k % 4],
                q[8 * s + 4 + k / 4][k % 4], q[8 * s + 6 + k / 4][k % 4]);
#else
        uvec4 column;
        [[unroll]] for (uint r = 0; r < 4; r++)
            column[r] = (q[2 * r][k / 2] >> 16 * (k % 2) & 0xffffu) | (q[2 * r + 1][k / 2] >> 16 * (k % 2)) << 16;
        p[to + k * push.wide] = column;
#endif
    }
}
