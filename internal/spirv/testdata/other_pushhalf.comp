#version 450
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Y { float y[]; };
#extension GL_EXT_shader_explicit_arithmetic_types : require
layout(push_constant) uniform Push { float16_t ratio; } p;
void main() { y[0] = float(p.ratio); }
