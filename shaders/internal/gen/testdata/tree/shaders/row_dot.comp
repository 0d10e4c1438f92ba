// y[row] = scale * sum_i w[row, i] * x[i] (+ y[row] if ACCUMULATE), one subgroup per row.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "lib/load.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint LOCAL = 32;
layout(constant_id = 1) const bool ACCUMULATE = false;
layout(constant_id = 2) const float EPSILON = 1e-5;
layout(constant_id = 3) const int row_shift = -2;

layout(set = 0, binding = 1) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = 2) buffer Y { float v[]; } y;
layout(set = 0, binding = 3) readonly buffer Unused { float v[]; } bias_term;

layout(push_constant) uniform Push { uint rows; uint cols; float scale; int first_row; } p;

void main() {
	uint row = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID;
	if (row >= p.rows) return;
	float sum = 0.0;
	for (uint i = gl_SubgroupInvocationID; i < p.cols; i += gl_SubgroupSize) sum += weight(row * p.cols + i) * x[i >> 2][i & 3u];
	sum = subgroupAdd(sum);
	if (!subgroupElect()) return;
	uint at = uint(int(row) + p.first_row + row_shift);
	y.v[at] = p.scale * sum + EPSILON + (ACCUMULATE ? y.v[at] : 0.0);
}
