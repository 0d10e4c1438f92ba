// What the draw of one sequence's tokens starts from; engine/vulkan writes it from engine/sample's Twin.
struct Draw {
    uint flags;      // DRAW_*
    float factor;    // turns t into the exponent of a weight, after all filters
    uint top_p;      // in units of 2^-32; 0 for no filter
    uint limit;      // largest key that min-p leaves
    uint top_k;      // 0 for no filter
    uint seed_lo;
    uint seed_hi;
    uint position_lo; // of the submission's first token
    uint position_hi;
    float presence;
    float frequency;
    float decay;
    uint biased;     // entries of the list of biases
    uint end[8];     // ids after which nothing is drawn; unused ones are DRAW_NONE
};
const uint DRAW_GREEDY = 1, DRAW_PENALTIES = 2, DRAW_MASK = 4, DRAW_ONCE = 8, DRAW_BIAS = 16;

// In place of an id: nothing was drawn since the sequence had ended; no id can be drawn; or, DRAW_BAD + id, the logit
// of that id is none.
const uint DRAW_NONE = 0xFFFFFFFF, DRAW_EMPTY = 0xFFFFFFFE, DRAW_BAD = 0x80000000;

// is_bad reports whether bits are no logit: NaN or +Inf.
bool is_bad(uint bits) { return (bits & 0x7FFFFFFF) >= 0x7F800000 && bits != 0xFF800000; }
