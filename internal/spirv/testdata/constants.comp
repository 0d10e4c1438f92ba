#version 450
#extension GL_KHR_shader_subgroup_shuffle : require
layout(local_size_x_id = 2, local_size_y = 3, local_size_z_id = 5) in;
layout(constant_id = 2) const uint LOCAL = 64;
layout(constant_id = 0) const float EPS = 0.5;
layout(constant_id = 1) const bool FLAG = true;
layout(constant_id = 3) const int NEG = -3;
layout(constant_id = 4) const bool OFF = false;
const uint TWICE = LOCAL * 2;
layout(push_constant) uniform Push { int from; layout(offset = 4) uint rows; float scale; } p;
layout(set = 0, binding = 0) buffer Y { float y[]; };
shared float t[TWICE];
void main() {
	t[gl_LocalInvocationIndex] = FLAG ? EPS : p.scale;
	y[p.rows + gl_WorkGroupSize.x] = subgroupShuffle(t[p.from + NEG], 1u);
}
