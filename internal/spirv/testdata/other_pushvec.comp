#version 450
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Y { float y[]; };
layout(push_constant) uniform Push { vec4 shift; } p;
void main() { y[0] = p.shift.x; }
