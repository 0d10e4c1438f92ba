#version 450
// The largest magnitude of each run of numbers, such as the state of a head. One workgroup per run. Numbers that are
// not finite do not count.
layout(local_size_x = 64) in;
layout(push_constant) uniform Push {
    uint count; // numbers of a run
    uint at;    // of the first result
} push;
layout(binding = 0) readonly buffer X { float x[]; };
layout(binding = 1) writeonly buffer Y { float y[]; };

shared float largest[64];

void main() {
    uint lane = gl_LocalInvocationID.x;
    uint base = gl_WorkGroupID.x * push.count;
    float most = 0.0;
    for (uint i = lane; i < push.count; i += 64) {
        float v = abs(x[base + i]);
        if (floatBitsToUint(v) < 0x7f800000u) most = max(most, v);
    }
    largest[lane] = most;
    barrier();
    if (lane == 0) {
        for (uint i = 1; i < 64; i++) most = max(most, largest[i]);
        y[push.at + gl_WorkGroupID.x] = most;
    }
}
