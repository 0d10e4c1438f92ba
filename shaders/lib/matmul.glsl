// What the MatMul kernels share: the table of parts, and what happens to a finished product.

layout(binding = 0) readonly restrict buffer W { uvec4 w[]; };
layout(binding = 1) readonly buffer X { vec4 x[]; };
layout(binding = 2) readonly buffer Params { float params[]; };
layout(binding = 3) readonly buffer From { float from[]; };
layout(binding = 4) writeonly buffer Y { float y[]; };

// One product: rows of one matrix. Strides are between tokens; offsets count the elements of the bound ranges.
struct Part {
    uint row;      // first row in the numbering of the dispatch, a multiple of Rows
    uint rows;
    uint groups;   // 8-element groups of a row
    uint weight;   // first group of the first row
    uint x;        // in vec4
    uint x_stride; // in vec4
    uint y;
    uint y_stride;
    uint bias;     // offset into params, or NONE
    uint act;
    uint combine;
    uint from;
    uint from_stride;
    uint to;
    uint to_stride;
    uint unused;
};

layout(binding = 5) readonly restrict buffer Parts { Part parts[]; };

layout(push_constant) uniform Push {
    uint part;   // first
    uint count;  // of parts
    uint tokens;
} push;

const uint NONE = 0xffffffffu;

// As model/op has them.
const uint ACT_TANH = 1, ACT_SIGMOID = 2, ACT_RELU2 = 3, ACT_DECAY = 4;
const uint COMBINE_ADD = 1, COMBINE_LERP = 2;
const float DECAY_SCALE = -0.606531;

float sigmoid(float z) { return 1.0 / (1.0 + exp(-z)); }

float activate(uint act, float z) {
    switch (act) {
    case ACT_TANH: return tanh(clamp(z, -15.0, 15.0)); // some drivers overflow beyond
    case ACT_SIGMOID: return sigmoid(z);
    case ACT_RELU2: z = max(z, 0.0); return z * z;
    case ACT_DECAY: return exp(DECAY_SCALE * sigmoid(z));
    }
    return z;
}

// part_of returns the part that holds a row of the dispatch.
uint part_of(uint row) {
    uint p = push.part;
    while (p + 1 < push.part + push.count && row >= parts[p + 1].row) p++;
    return p;
}

// finish stores the product z of row m of part p for token t.
void finish(uint p, uint m, uint t, float z) {
    if (parts[p].bias != NONE) z += params[parts[p].bias + m];
    z = activate(parts[p].act, z);
    uint combine = parts[p].combine;
    if (combine != 0) {
        float f = from[parts[p].from + t * parts[p].from_stride + m];
        if (combine == COMBINE_LERP) z *= from[parts[p].to + t * parts[p].to_stride + m] - f;
        z += f;
    }
    y[parts[p].y + t * parts[p].y_stride + m] = z;
}
