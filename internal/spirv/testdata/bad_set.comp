#version 450
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Y { float y[]; };
layout(set = 1, binding = 0) buffer Other { float v[]; } other;
void main() { y[0] = other.v[0]; }
