#version 450
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Y { float y[]; };
layout(set = 0, binding = 1) buffer Many { float v[]; } many[4];
void main() { y[0] = many[2].v[0]; }
