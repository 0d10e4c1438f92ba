#version 450
#extension GL_EXT_samplerless_texture_functions : require
layout(local_size_x = 1) in;
layout(set = 0, binding = 0) buffer Y { float y[]; };
layout(set = 0, binding = 0) uniform textureBuffer view;
void main() { y[0] = texelFetch(view, 0).x; }
