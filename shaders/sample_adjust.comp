#version 450
// Steps 1 and 2 of engine/sample's definition: biases, penalties and masked ids, written into the logits; before that,
// what Sampler.Accept does for the token that the step before drew. One workgroup per sequence.
#include "lib/batch.glsl"
#include "lib/draw.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint vocab;
    uint stride; // between rows of logits
    uint step;   // 0 is the submission's first: the host has done its acceptance
    uint room;   // entries of a sequence's lists, of counts and of biases
} push;

layout(binding = 0) readonly buffer Draws { Draw draws[]; };
layout(binding = 1) readonly buffer Spans { Span spans[]; };
layout(binding = 2) readonly buffer Tokens { uint tokens[]; };
layout(binding = 3) readonly buffer Allowed { uint allowed[]; }; // bits of ids, a whole number of words for each sequence
layout(binding = 4) readonly buffer Free { uint free_text[]; };  // likewise: ids whose count stays
layout(binding = 5) buffer Lengths { uint lengths[]; };          // entries of each list
layout(binding = 6) buffer Counts { uvec2 counts[]; };           // (id, bits of its count)
layout(binding = 7) coherent buffer Logits { uint logits[]; }; // two lanes may change one of them, by bias and by penalty
layout(binding = 8) readonly buffer Biases { uvec2 biases[]; };  // (id, bits of its bias)

const float MIN_COUNT = 1.0 / 1099511627776.0; // 2^-40

shared uint found;

uint words() { return (push.vocab + 31) / 32; }

bool has_bit(uint word, uint id) { return (word >> (id & 31) & 1) == 1; }

// masked tells whether an id is left to mask, which other lanes run beside what changes single logits.
bool masked(uint seq, uint id) {
    return (draws[seq].flags & DRAW_MASK) != 0 && !has_bit(allowed[seq * words() + id / 32], id);
}

// bias raises the logits of the ids that have a bias.
void bias(uint seq) {
    for (uint i = gl_LocalInvocationID.x; i < draws[seq].biased; i += Local) {
        uvec2 entry = biases[seq * push.room + i];
        if (masked(seq, entry.x)) continue;
        uint at = seq * push.stride + entry.x;
        precise float raised = uintBitsToFloat(logits[at]) + uintBitsToFloat(entry.y);
        logits[at] = floatBitsToUint(raised);
    }
}

// penalise lowers one id's logit.
void penalise(uint seq, uint id, float count) {
    if (masked(seq, id)) return;
    uint at = seq * push.stride + id;
    precise float scaled = count * draws[seq].frequency;
    precise float penalty = draws[seq].presence + scaled;
    precise float lowered = uintBitsToFloat(logits[at]) - penalty;
    logits[at] = floatBitsToUint(lowered);
}

// mask takes out ids whose bit is not set; what is no logit stays, to be found.
void mask(uint seq) {
    for (uint w = gl_LocalInvocationID.x; w < words(); w += Local) {
        for (uint excluded = ~allowed[seq * words() + w]; excluded != 0; excluded &= excluded - 1) {
            uint id = 32 * w + findLSB(excluded);
            if (id < push.vocab && !is_bad(logits[seq * push.stride + id])) logits[seq * push.stride + id] = 0xFF800000;
        }
    }
}

void main() {
    uint seq = gl_WorkGroupID.x, lane = gl_LocalInvocationID.x;
    uint flags = draws[seq].flags;
    if (spans[seq].len == 0) return;
    if ((flags & DRAW_MASK) != 0) mask(seq);
    if ((flags & DRAW_BIAS) != 0) bias(seq);
    if ((flags & DRAW_PENALTIES) == 0) return;

    uint length = lengths[seq], base = seq * push.room;
    uint token = tokens[seq];
    bool accept = push.step > 0;
    float add = has_bit(free_text[seq * words() + token / 32], token) ? 0.0 : 1.0;
    memoryBarrierBuffer(); // what bias wrote
    if (lane == 0) found = 0;
    barrier();
    for (uint i = lane; i < length; i += Local) {
        uint id = counts[base + i].x;
        float count = uintBitsToFloat(counts[base + i].y);
        if (accept) {
            precise float decayed = count * draws[seq].decay;
            if (decayed < MIN_COUNT) decayed = 0.0;
            if (id == token) {
                found = 1;
                decayed += add;
            }
            count = decayed;
            counts[base + i].y = floatBitsToUint(count);
        }
        penalise(seq, id, count);
    }
    barrier();
    if (accept && lane == 0 && found == 0) {
        counts[base + length] = uvec2(token, floatBitsToUint(add));
        lengths[seq] = length + 1;
        penalise(seq, token, add);
    }
}
