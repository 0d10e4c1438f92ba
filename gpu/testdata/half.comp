#version 450
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_EXT_shader_16bit_storage : require
// Doubles half floats: needs Float16 and StorageBuffer16BitAccess.
layout(local_size_x = 32) in;
layout(std430, binding = 0) buffer X { float16_t x[]; };
void main() { x[gl_GlobalInvocationID.x] *= float16_t(2); }
