#version 450
#extension GL_EXT_samplerless_texture_functions : require
// Sums the components of each texel, as floats.
layout(local_size_x = 32) in;
layout(binding = 0) uniform textureBuffer tex;
layout(std430, binding = 1) writeonly buffer Out { float o[]; };
layout(push_constant) uniform Push { uint n; };
void main() {
	uint i = gl_GlobalInvocationID.x;
	if (i >= n) return;
	vec4 t = texelFetch(tex, int(i));
	o[i] = t.x + 2 * t.y + 4 * t.z + (textureSize(tex) == int(n) ? 0 : 1000);
}
