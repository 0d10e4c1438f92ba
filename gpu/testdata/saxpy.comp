#version 450
// y = a*x + y over n elements.
layout(local_size_x_id = 0) in;
layout(std430, binding = 0) readonly buffer X { float x[]; };
layout(std430, binding = 1) buffer Y { float y[]; };
layout(push_constant) uniform Push { uint n; float a; };
void main() {
	uint i = gl_GlobalInvocationID.x;
	if (i < n) y[i] = a * x[i] + y[i];
}
