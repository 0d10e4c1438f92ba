// What the MatMul kernels share: the table of parts, and what happens to a finished product. A kernel whose dispatch has
// one part defines ONE_PART.

WEIGHTS(0);
#include "lib/blocks.glsl"
ALIASED VEC4S(1, X);
FLOATS(2, Params);
ALIASED FLOATS(3, From);
ALIASED layout(binding = 4) writeonly buffer Y { float y[]; };
UINT4S(5, Parts); // 4 to a part

// One product: rows of one matrix. Strides are between tokens; offsets count the elements of the bound ranges.
struct Part {
    uint row;      // first row in the numbering of the dispatch, a multiple of Rows
    uint rows;
    uint units;    // of a row (lib/blocks.glsl)
    uint weight;   // where the first row lies, in words
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
    float scale;
};

Part part_at(uint p) {
    uvec4 a = U4(Parts, 4 * p), b = U4(Parts, 4 * p + 1), c = U4(Parts, 4 * p + 2), d = U4(Parts, 4 * p + 3);
    return Part(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w, c.x, c.y, c.z, c.w, d.x, d.y, d.z, uintBitsToFloat(d.w));
}

const uint NONE = 0xffffffffu;

layout(push_constant) uniform Push {
    uint part; // first
    uint tokens;
#ifndef ONE_PART
    uint row1, row2, row3, row4, row5, row6, row7; // the first rows of the parts behind the first, or NONE
#endif
#ifdef PUSH_MORE
    PUSH_MORE
#endif
} push;

// As model/op has them.
const uint ACT_TANH = 1, ACT_SIGMOID = 2, ACT_RELU2 = 3, ACT_DECAY = 4, ACT_SILU = 5, ACT_EXP_DECAY = 6;
const uint COMBINE_ADD = 1, COMBINE_LERP = 2, COMBINE_GATE = 3, COMBINE_MUL = 4;
const float DECAY_SCALE = -0.606531;

// activate takes two exponentials for any of the functions: a driver that emulates lanes runs every branch.
float activate(uint act, float z) {
    if (act == 0) return z;
    if (act == ACT_RELU2) {
        z = max(z, 0.0);
        return z * z;
    }
    float e = exp(act == ACT_EXP_DECAY ? min(z, 10.0) : act == ACT_TANH ? -2.0 * z : -z); // beyond 10, the result is 0
    float s = 1.0 / (1.0 + e); // sigmoid
    if (act == ACT_DECAY || act == ACT_EXP_DECAY) return exp(act == ACT_DECAY ? DECAY_SCALE * s : -e);
    return act == ACT_TANH ? 2.0 * s - 1.0 : act == ACT_SILU ? z * s : s;
}

#ifndef ONE_PART
// part_of returns the part that holds a row of the dispatch. It does not wait for memory to know which.
Part part_of(uint row) {
    return part_at(push.part + uint(row >= push.row1) + uint(row >= push.row2) + uint(row >= push.row3) + uint(row >= push.row4)
        + uint(row >= push.row5) + uint(row >= push.row6) + uint(row >= push.row7));
}
#endif

// bias_of returns what is added to the products of row m.
float bias_of(Part p, uint m) { return p.bias == NONE ? 0.0 : F(Params, p.bias + m); }

// along adds the products of 8 elements of a row and of x to a sum, one after the other, as the row has them. Kernels
// that go along a row in this way get the same sum of it, bit for bit, whatever rows and tokens they take together.
float along(vec4 lo, vec4 hi, vec4 x_lo, vec4 x_hi, float sum) {
    sum = fma(lo.w, x_lo.w, fma(lo.z, x_lo.z, fma(lo.y, x_lo.y, fma(lo.x, x_lo.x, sum))));
    return fma(hi.w, x_hi.w, fma(hi.z, x_hi.z, fma(hi.y, x_hi.y, fma(hi.x, x_hi.x, sum))));
}

// A row in segments is a sum for each, of which the sums are added in order. A segment is whole steps of 32 elements,
// which block types have as units.
const uint SEGMENTS = 8, STEP = 4 / GROUPS; // units of a step

// segment_at returns the first unit of a segment.
uint segment_at(uint s, uint units) { return min(s * ((units + STEP * SEGMENTS - 1) / (STEP * SEGMENTS)) * STEP, units); }

// Ending is what finishes the product of row m for token t, besides the part. Where lanes would wait for it, a kernel
// loads it before the product.
struct Ending { float bias, from, to; };

bool reads_to(Part p) { return p.combine == COMBINE_LERP || p.combine == COMBINE_GATE; }

Ending ending_of(Part p, uint m, uint t, float bias) {
    Ending e = Ending(bias, 0.0, 0.0);
    if (p.combine != 0) {
        e.from = F(From, p.from + t * p.from_stride + m);
        if (reads_to(p)) e.to = F(From, p.to + t * p.to_stride + m);
    }
    return e;
}

// finish stores the product z of row m of a part for token t.
void finish(Part p, uint m, uint t, float z, Ending e) {
    z = activate(p.act, fma(z, p.scale, e.bias));
    if (p.combine != 0) {
        if (p.combine == COMBINE_MUL) z *= e.from;
        else z = reads_to(p) ? fma(z, p.combine == COMBINE_LERP ? e.to - e.from : e.to, e.from) : z + e.from;
    }
    y[p.y + t * p.y_stride + m] = z;
}

void finish(Part p, uint m, uint t, float z, float bias) { finish(p, m, t, z, ending_of(p, m, t, bias)); }

// is_plain reports whether finish_plain, finish without exponentials and what takes two vectors, does for a part.
bool is_plain(Part p) { return (p.act == 0 || p.act == ACT_RELU2) && p.combine <= COMBINE_ADD; }

void finish_plain(Part p, uint m, uint t, float z, float bias) {
    z = fma(z, p.scale, bias);
    if (p.act == ACT_RELU2) z = max(z, 0.0) * max(z, 0.0);
    if (p.combine == COMBINE_ADD) z += F(From, p.from + t * p.from_stride + m);
    y[p.y + t * p.y_stride + m] = z;
}

void finish(Part p, uint m, uint t, float z) { finish(p, m, t, z, bias_of(p, m)); }
