#version 450
// Writes its specialization constants, its push constants and its place.
layout(local_size_x_id = 0, local_size_y_id = 1) in;
layout(constant_id = 2) const uint s2 = 7;
layout(constant_id = 3) const float s3 = 0.5;
layout(std430, binding = 0) writeonly buffer Out { uint o[]; };
layout(push_constant) uniform Push { uint p[32]; };
shared uint scratch[s2];
void main() {
	scratch[gl_LocalInvocationIndex % s2] = s2;
	barrier();
	if (gl_LocalInvocationIndex != 0) return;
	uint at = 40 * (gl_WorkGroupID.x + gl_NumWorkGroups.x * (gl_WorkGroupID.y + gl_NumWorkGroups.y * gl_WorkGroupID.z));
	for (uint i = 0; i < 32; i++) o[at + i] = p[i];
	o[at + 32] = scratch[0];
	o[at + 33] = floatBitsToUint(s3);
	o[at + 34] = gl_WorkGroupSize.x;
	o[at + 35] = gl_WorkGroupSize.y;
	o[at + 36] = gl_WorkGroupID.x;
	o[at + 37] = gl_WorkGroupID.y;
	o[at + 38] = gl_WorkGroupID.z;
	o[at + 39] = 0xabcdef01;
}
