#version 450
// dst[i] = 5*src[i+1 mod n] + add: every step needs the whole step before it.
layout(local_size_x = 32) in;
layout(std430, binding = 0) readonly buffer Src { uint src[]; };
layout(std430, binding = 1) writeonly buffer Dst { uint dst[]; };
layout(push_constant) uniform Push { uint n, add; };
void main() {
	uint i = gl_GlobalInvocationID.x;
	if (i < n) dst[i] = 5 * src[(i + 1) % n] + add;
}
