#version 450
// The rate of multiply-adds: 12 chains in each invocation, none of which waits for another. No loads but two at the
// start. Which of fma (FUSED) and a product with a sum is the faster depends on the driver: one may emulate the first,
// another never join the second.
#extension GL_EXT_control_flow_attributes : require
#include "lib/load.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Push { uint steps; } push; // of LENGTH multiply-adds in each chain
FLOATS(0, X); // [2]: factor and term, unknown to the compiler
layout(binding = 1) writeonly buffer Y { float y[]; };

const uint CHAINS = 12, LENGTH = 4;

#ifdef FUSED
#define MULTIPLY_ADD(a, b, c) fma(a, b, c)
#else
#define MULTIPLY_ADD(a, b, c) (a) * (b) + (c)
#endif

void main() {
    float b = F(X, 0), c = F(X, 1), a[CHAINS];
    [[unroll]] for (uint i = 0; i < CHAINS; i++) a[i] = float(gl_LocalInvocationID.x + i);
    for (uint s = 0; s < push.steps; s++)
        [[unroll]] for (uint j = 0; j < LENGTH; j++)
            [[unroll]] for (uint i = 0; i < CHAINS; i++) a[i] = MULTIPLY_ADD(a[i], b, c);
    float sum = 0.0;
    [[unroll]] for (uint i = 0; i < CHAINS; i++) sum += a[i];
    y[gl_GlobalInvocationID.x] = sum;
}
