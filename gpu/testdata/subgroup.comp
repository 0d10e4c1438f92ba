#version 450
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
// Reports the subgroup size, the lanes in use, and the sum of the lanes' places.
layout(local_size_x_id = 0) in;
layout(std430, binding = 0) writeonly buffer Out { uint o[]; };
void main() {
	uint lanes = subgroupAdd(1u), sum = subgroupAdd(gl_LocalInvocationIndex);
	if (gl_LocalInvocationIndex != 0) return;
	o[0] = gl_SubgroupSize;
	o[1] = lanes;
	o[2] = sum;
	o[3] = gl_NumSubgroups;
}
