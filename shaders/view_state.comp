#version 450
// Pictures of the matrices of some heads of a layer, one invocation per pixel of a side x side picture, one workgroup in
// z per head. A pixel shows the number of the largest magnitude among those that it covers. Its color is that of
// sqrt(|number| / scale), so that small numbers show too.
layout(local_size_x = 8, local_size_y = 8) in;
layout(push_constant) uniform Push {
    uint at;     // pixel of the first picture's corner
    uint stride; // pixels of a row of the frame
    uint step;   // pixels from one head's corner to the next one's
    uint side;   // of a picture, in pixels
    uint size;   // rows and columns of a matrix
    uint first;  // the first head
    uint scale;  // of that head, in scales
    uint each;   // 1: each head has a scale of its own; 0: all have the first one
    uint turned; // 1: a column of the picture is a row of the matrix
    uint signed_colors; // 1: the middle color is 0; 0: the first one is, and the sign does not show
} push;
layout(binding = 0) readonly buffer State { float state[]; };
layout(binding = 1) readonly buffer Scales { float scales[]; };
layout(binding = 2) readonly buffer Colors { uint colors[]; }; // COLORS of the scale, and one for what is no finite number
layout(binding = 3) writeonly buffer Frame { uint frame[]; };

const uint COLORS = 256;

void main() {
    uvec2 p = gl_GlobalInvocationID.xy;
    if (p.x >= push.side || p.y >= push.side) return;
    uint head = gl_WorkGroupID.z, n = push.size;
    uvec2 from = p * n / push.side;
    uvec2 to = max((p + 1) * n / push.side, from + 1);
    uint base = (push.first + head) * n * n;
    float shown = 0.0;
    bool bad = false;
    for (uint row = from.y; row < to.y; row++)
        for (uint column = from.x; column < to.x; column++) {
            float v = state[base + (push.turned == 1 ? column * n + row : row * n + column)];
            bad = bad || (floatBitsToUint(v) & 0x7f800000u) == 0x7f800000u;
            if (abs(v) > abs(shown)) shown = v;
        }
    float scale = scales[push.scale + (push.each == 1 ? head : 0)];
    float strength = scale > 0.0 ? sqrt(min(abs(shown) / scale, 1.0)) : 0.0;
    float place = strength * float(COLORS - 1);
    if (push.signed_colors == 1) place = 0.5 * (float(COLORS - 1) + (shown < 0.0 ? -place : place));
    uint color = bad ? COLORS : uint(place + 0.5);
    frame[push.at + head * push.step + p.y * push.stride + p.x] = colors[color];
}
