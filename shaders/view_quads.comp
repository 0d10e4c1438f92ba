#version 450
// Rectangles of one color, and characters, over what the frame has. One workgroup per rectangle. Rectangles of a
// dispatch do not overlap.
layout(local_size_x = 64) in;
layout(push_constant) uniform Push {
    uint first;  // rectangle of the dispatch
    uint stride; // pixels of a row of the frame
} push;

struct Quad {
    uint place; // x | y << 16, of the corner
    uint size;  // width | height << 16; 0: nothing
    uint color; // as in the frame, but for the highest byte, which is how much it covers
    uint glyph; // SOLID, or where the first of its bytes lies in the atlas, each of which is how much a pixel is covered
};
const uint SOLID = 0xffffffffu;

layout(binding = 0) readonly buffer Quads { Quad quads[]; };
layout(binding = 1) readonly buffer Atlas { uint atlas[]; };
layout(binding = 2) buffer Frame { uint frame[]; };

// 4 bytes as numbers from 0 to 255.
uvec4 bytes(uint v) { return (uvec4(v) >> uvec4(0, 8, 16, 24)) & 0xffu; }

void main() {
    Quad q = quads[push.first + gl_WorkGroupID.x];
    uint width = q.size & 0xffffu, pixels = width * (q.size >> 16);
    uint corner = (q.place >> 16) * push.stride + (q.place & 0xffffu);
    uvec4 color = bytes(q.color);
    for (uint i = gl_LocalInvocationID.x; i < pixels; i += 64) {
        uint cover = color.a;
        if (q.glyph != SOLID) {
            uint at = q.glyph + i;
            cover = cover * bytes(atlas[at >> 2])[at & 3] / 255;
        }
        if (cover == 0) continue;
        uint to = corner + i / width * push.stride + i % width;
        uvec4 under = bytes(frame[to]);
        uvec4 mixed = (under * (255 - cover) + color * cover + 127) / 255;
        frame[to] = mixed.r | mixed.g << 8 | mixed.b << 16 | 0xff000000u;
    }
}
