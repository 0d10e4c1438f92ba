#version 450
// op.ShiftCommit: State[slot of seq] = Last[seq]. One column of workgroups per sequence. A sequence without rows, which
// is one that has ended within a submission of several steps, left nothing there.
#include "lib/batch.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint width;
    uint stride;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
layout(binding = 1) readonly buffer Last { float last[]; };
layout(binding = 2) writeonly buffer State { float state[]; };

void main() {
    uint c = gl_GlobalInvocationID.x;
    uint seq = gl_WorkGroupID.y;
    if (c < push.width && spans[seq].len > 0) state[spans[seq].slot * push.stride + c] = last[seq * push.stride + c];
}
