#version 450
// How strong each key of a head is: the length of its column of the matrix. One invocation per key.
layout(local_size_x = 64) in;
layout(push_constant) uniform Push {
    uint size;   // rows and columns of a matrix
    uint head;
    uint turned; // 1: a key has a row of the matrix
} push;
layout(binding = 0) readonly buffer State { float state[]; };
layout(binding = 1) writeonly buffer Lengths { float lengths[]; };

void main() {
    uint key = gl_GlobalInvocationID.x, n = push.size;
    if (key >= n) return;
    uint base = push.head * n * n;
    float sum = 0.0;
    for (uint value = 0; value < n; value++) {
        float v = state[base + (push.turned == 1 ? key * n + value : value * n + key)];
        sum += v * v;
    }
    lengths[key] = sqrt(sum);
}
