#version 450
#extension GL_EXT_samplerless_texture_functions : require
#extension GL_EXT_shader_16bit_storage : require
#extension GL_EXT_shader_8bit_storage : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
layout(local_size_x = 4, local_size_y = 2) in;
struct Block { uint scale; uint quants[4]; };
layout(set = 0, binding = 3) readonly buffer Halves { float16_t h[]; } halves;
layout(set = 0, binding = 0) readonly buffer Bytes { int8_t v[]; };
layout(set = 0, binding = 1) uniform itextureBuffer texels;
layout(set = 0, binding = 2) writeonly buffer Out { f16vec4 v[]; } result;
layout(set = 0, binding = 4) buffer Head { uint count; readonly float rest[]; } head;
layout(set = 0, binding = 5) readonly buffer Blocks { Block b[]; } blocks;
layout(set = 0, binding = 6) readonly buffer One { uint words[]; } w;
layout(set = 0, binding = 6) readonly buffer Four { uvec4 words[]; } w_by_four;
layout(set = 0, binding = 7) buffer Both { readonly uint a; uint b[2]; mat4 m; } both;
layout(set = 0, binding = 8) uniform textureBuffer plain;
layout(set = 0, binding = 9) readonly buffer Wide { int64_t v[]; } wide;
void main() {
	uint i = gl_GlobalInvocationID.x;
	float sum = float(v[i]) + float(halves.h[i]) + head.rest[i] + float(blocks.b[i].quants[2]) + float(texelFetch(texels, int(i)).x);
	both.b[1] = w.words[i] + w_by_four.words[i].y + both.a + uint(wide.v[i]);
	result.v[i] = f16vec4(sum) + f16vec4(texelFetch(plain, 0));
	head.count = 1u;
}
