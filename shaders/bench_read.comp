#version 450
// The rate of streaming reads: a workgroup sums a run of Steps * LOADS * Local units of 16 bytes, neighbouring lanes
// side by side, with that many loads under way in each lane.
#extension GL_EXT_control_flow_attributes : require
#include "lib/load.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Push { uint steps; } push;
UINT4S(0, W);
layout(binding = 1) writeonly buffer Y { uint y[]; }; // one for each invocation, so that nothing is left out

const uint LOADS = 8;

void main() {
    uvec4 sum[LOADS];
    [[unroll]] for (uint i = 0; i < LOADS; i++) sum[i] = uvec4(0);
    uint at = gl_WorkGroupID.x * push.steps * LOADS * Local + gl_LocalInvocationID.x;
    for (uint s = 0; s < push.steps; s++) {
        [[unroll]] for (uint i = 0; i < LOADS; i++) sum[i] += U4(W, at + i * Local);
        at += LOADS * Local;
    }
    [[unroll]] for (uint i = 1; i < LOADS; i++) sum[0] += sum[i];
    y[gl_GlobalInvocationID.x] = sum[0].x + sum[0].y + sum[0].z + sum[0].w;
}
