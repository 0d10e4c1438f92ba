#version 450
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Y { float y[]; };
#extension GL_EXT_shader_explicit_arithmetic_types : require
layout(constant_id = 0) const double WIDE = 1;
void main() { y[0] = float(WIDE); }
