#version 450
// Steps 3 to 9 of engine/sample's definition, bit for bit: floating point are only t = largest - logit and t times a
// factor, sums are 64-bit integers. One workgroup per sequence, which draws an id, leaves it where the next step looks
// its token up, and ends the sequence where the id is one that ends it.
//
// The key of an id is the bit pattern of its t, which orders like t. Which keys stay is found by histograms over digits
// of the key, highest first; which id is drawn, and which of equal keys top-k keeps, by narrowing down a range of ids.
#include "lib/load.glsl"
#include "lib/batch.glsl"
#include "lib/draw.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(constant_id = 1) const uint Team = 4; // lanes that walk a range of ids side by side; Local is at least twice that
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint vocab;
    uint stride; // between rows of logits, in vec4
    uint step;   // of the submission
    uint seqs;
} push;

VEC4S(0, Logits);
layout(binding = 1) readonly buffer Draws { Draw draws[]; };
layout(binding = 2) readonly buffer Weights { uint weights[]; }; // sample.WeightTable
layout(binding = 3) buffer Spans { Span spans[]; };
layout(binding = 4) writeonly buffer Tokens { uint tokens[]; };
layout(binding = 5) writeonly buffer Drawn { uint drawn[]; }; // [step][seq]

const float LOG2E = 1.44269504;
const uint OUT_KEY = 0x7F800000;     // t = +Inf
const uint NO_ORDER = 0x007FFFFF;    // order_of(-Inf)

// The first digit of a key that weighs anything, t < 28, is below DIGITS. Counts of keys need no high words.
const uint DIGITS = 1056, COUNT_DIGITS = 2048;
shared uint mass_lo[2112]; // weights: low words, then high words; counts
const uint HIGH = DIGITS;
shared uint part_lo[256];
shared uint part_hi[256];
shared uint most, at_most;

// Numbers of 64 bits are (low, high).
uvec2 plus(uvec2 a, uvec2 b) {
    uint lo = a.x + b.x;
    return uvec2(lo, a.y + b.y + (lo < a.x ? 1 : 0));
}
uvec2 minus(uvec2 a, uvec2 b) { return uvec2(a.x - b.x, a.y - b.y - (a.x < b.x ? 1 : 0)); }
bool less(uvec2 a, uvec2 b) { return a.y < b.y || a.y == b.y && a.x < b.x; }

// weight is sample.Weight: 2^40 * 2^-u by linear interpolation in the table.
uvec2 weight(float u) {
    if (!(u < 40.0)) return uvec2(0);
    uint whole = uint(u);
    precise float rest = (u - float(whole)) * 67108864.0; // 26 fraction bits, exact
    uint y = uint(rest);
    uint left = weights[y >> 16], drop = left - weights[(y >> 16) + 1];
    uint hi, lo;
    umulExtended(drop, y & 0xFFFF, hi, lo);
    uvec2 x = minus(uvec2(left << 16, left >> 16), uvec2(lo, hi));
    uint shift = whole + 7; // 47 - 40
    return shift < 32 ? uvec2(x.x >> shift | x.y << (32 - shift), x.y >> shift) : uvec2(x.y >> (shift - 32), 0);
}

uvec2 weight_of(uint key, float factor) {
    precise float u = uintBitsToFloat(key) * factor;
    return weight(u);
}

// order_of is a number that orders like the logit; -0 equals +0, and what is no logit is above all.
uint order_of(uint bits) {
    if (is_bad(bits)) return 0xFFFFFFFF;
    if (bits == 0x80000000) bits = 0;
    return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
}

uint row; // of logits, in vec4
float largest;

uint key_of(float logit) {
    precise float t = largest - logit;
    return floatBitsToUint(t);
}

// find_largest leaves the order of the largest logit in most and the lowest id that has it in at_most.
void find_largest() {
    uint lane = gl_LocalInvocationID.x, order = 0, id = 0;
    if (lane == 0) {
        most = 0;
        at_most = DRAW_NONE;
    }
    for (uint i = lane; 4 * i < push.vocab; i += Local) {
        uvec4 bits = floatBitsToUint(V4(Logits, row + i));
        for (uint j = 0; j < 4; j++) {
            uint o = order_of(bits[j]);
            if (4 * i + j < push.vocab && o > order) {
                order = o;
                id = 4 * i + j;
            }
        }
    }
    barrier();
    atomicMax(most, order);
    barrier();
    if (order == most) atomicMin(at_most, id);
    barrier();
}

// tally sums weights, or counts ids, by the digit of the key at shift, over the keys that begin with prefix.
void tally(bool count, uint shift, uint digits, uint prefix_shift, uint prefix) {
    uint lane = gl_LocalInvocationID.x;
    for (uint i = lane; i < 2112; i += Local) mass_lo[i] = 0;
    barrier();
    for (uint i = lane; 4 * i < push.vocab; i += Local) {
        vec4 logits = V4(Logits, row + i);
        for (uint j = 0; j < 4; j++) {
            uint key = key_of(logits[j]);
            if (key >= OUT_KEY || key >> prefix_shift != prefix || 4 * i + j >= push.vocab) continue;
            uint digit = key >> shift & (digits - 1);
            if (count) {
                atomicAdd(mass_lo[digit], 1);
                continue;
            }
            uvec2 w = weight_of(key, LOG2E);
            if (w == uvec2(0)) continue;
            uint before = atomicAdd(mass_lo[digit], w.x);
            w.y += before + w.x < before ? 1 : 0;
            if (w.y != 0) atomicAdd(mass_lo[HIGH + digit], w.y);
        }
    }
    barrier();
}

uvec2 part(uint i) { return uvec2(part_lo[i], part_hi[i]); }

uvec2 mass(bool count, uint digit) { return uvec2(mass_lo[digit], count ? 0 : mass_lo[HIGH + digit]); }

// Digits in runs, one for each lane.
uint run_of(uint buckets) { return (buckets + Local - 1) / Local; }

// fold leaves the mass of each run of digits in part and returns the mass of all.
uvec2 fold(bool count, uint buckets) {
    uint lane = gl_LocalInvocationID.x, run = run_of(buckets);
    uvec2 sum = uvec2(0);
    for (uint b = lane * run; b < min((lane + 1) * run, buckets); b++) sum = plus(sum, mass(count, b));
    part_lo[lane] = sum.x;
    part_hi[lane] = sum.y;
    barrier();
    sum = uvec2(0);
    for (uint p = 0; p < Local; p++) sum = plus(sum, part(p));
    return sum;
}

// walk returns the first digit at which the mass, from below on, reaches goal, and adds to below what lies before it.
uint walk(bool count, uint buckets, uvec2 goal, inout uvec2 below) {
    uint run = run_of(buckets), p = 0;
    for (; p < Local - 1; p++) {
        uvec2 next = plus(below, part(p));
        if (!less(next, goal)) break;
        below = next;
    }
    uint b = p * run;
    for (; b < buckets - 1; b++) {
        uvec2 next = plus(below, mass(count, b));
        if (!less(next, goal)) break;
        below = next;
    }
    barrier(); // before part and mass are written again
    return b;
}

// lower_digits returns the key that begins with top, the digit found first, at which the mass reaches goal.
uint lower_digits(bool count, uint top, uvec2 goal, inout uvec2 below) {
    uint key = top;
    for (uint shift = 10;; shift = 0) {
        tally(count, shift, 1024, shift + 10, key);
        fold(count, 1024);
        key = key << 10 | walk(count, 1024, goal, below);
        if (shift == 0) return key;
    }
}

// top_p_key returns the smallest key such that the ids up to it weigh at least p of all.
uint top_p_key(uint p) {
    tally(false, 20, COUNT_DIGITS, 31, 0);
    uvec2 all = fold(false, DIGITS), below = uvec2(0), goal;
    uint hi0, lo0, hi1, lo1;
    umulExtended(p, all.x, hi0, lo0);
    umulExtended(p, all.y, hi1, lo1);
    goal = plus(plus(uvec2(hi0, 0), uvec2(lo1, hi1)), uvec2(lo0 != 0 ? 1 : 0, 0));
    uint top = walk(false, DIGITS, goal, below);
    return lower_digits(false, top, goal, below);
}

// Which ids stay: those with a key up to keep.x, but of keys of at least keep.y only keep.y itself, up to the id
// keep.z.
struct Keep {
    uint key, tie, last;
};

bool stays(Keep keep, uint key, uint id) {
    return key <= keep.key && (key < keep.tie || key == keep.tie && id <= keep.last);
}

// measure returns what an id weighs in the draw or, with ties, whether it has the key keep.tie.
uvec2 measure(bool ties, Keep keep, float factor, float logit, uint id) {
    uint key = key_of(logit);
    if (id >= push.vocab) return uvec2(0);
    if (ties) return uvec2(key == keep.tie ? 1 : 0, 0);
    return stays(keep, key, id) ? weight_of(key, factor) : uvec2(0);
}

// high_product returns floor(a * b / 2^64).
uvec2 high_product(uvec2 a, uvec2 b) {
    uint hi00, lo00, hi01, lo01, hi10, lo10, hi11, lo11;
    umulExtended(a.x, b.x, hi00, lo00);
    umulExtended(a.x, b.y, hi01, lo01);
    umulExtended(a.y, b.x, hi10, lo10);
    umulExtended(a.y, b.y, hi11, lo11);
    uvec2 middle = plus(plus(uvec2(hi00, 0), uvec2(lo01, 0)), uvec2(lo10, 0));
    return plus(plus(uvec2(lo11, hi11), uvec2(hi01, 0)), plus(uvec2(hi10, 0), uvec2(middle.y, 0)));
}

// find returns the first id at which the running measure exceeds goal or, without ties, goal's share of all.
uint find(bool ties, Keep keep, float factor, uvec2 goal) {
    uint lane = gl_LocalInvocationID.x, teams = Local / Team, team = lane / Team;
    uint first = 0, left = (push.vocab + 3) / 4; // the range, in fours
    uvec2 running = uvec2(0);
    for (bool whole = true; left > 1; whole = false) {
        uint each = (left + teams - 1) / teams;
        if (lane < teams) {
            part_lo[lane] = 0;
            part_hi[lane] = 0;
        }
        barrier();
        uvec2 sum = uvec2(0);
        uint from = first + team * each, to = min(from + each, first + left);
        for (uint i = from + lane % Team; i < to; i += Team) {
            vec4 logits = V4(Logits, row + i);
            for (uint j = 0; j < 4; j++) sum = plus(sum, measure(ties, keep, factor, logits[j], 4 * i + j));
        }
        if (sum != uvec2(0)) {
            uint before = atomicAdd(part_lo[team], sum.x);
            atomicAdd(part_hi[team], sum.y + (before + sum.x < before ? 1 : 0));
        }
        barrier();
        if (whole && !ties) {
            uvec2 all = uvec2(0);
            for (uint p = 0; p < teams; p++) all = plus(all, part(p));
            goal = high_product(goal, all);
        }
        uint p = 0;
        for (; p < teams - 1; p++) {
            uvec2 next = plus(running, part(p));
            if (less(goal, next)) break;
            running = next;
        }
        first += p * each;
        left = min(each, left - p * each);
        barrier(); // before part is written again
    }
    vec4 logits = V4(Logits, row + first);
    if (push.vocab <= 4 && !ties) {
        uvec2 all = uvec2(0);
        for (uint j = 0; j < 4; j++) all = plus(all, measure(ties, keep, factor, logits[j], j));
        goal = high_product(goal, all);
    }
    for (uint j = 0; j < 3; j++) {
        running = plus(running, measure(ties, keep, factor, logits[j], 4 * first + j));
        if (less(goal, running)) return 4 * first + j;
    }
    return 4 * first + 3;
}

// top_k leaves in keep the k ids with the smallest keys; among equal keys those with the lowest ids.
void top_k(uint k, inout Keep keep) {
    tally(true, 20, COUNT_DIGITS, 31, 0);
    uvec2 goal = uvec2(k, 0), below = uvec2(0);
    if (!less(goal, fold(true, COUNT_DIGITS))) {
        barrier();
        return;
    }
    uint top = walk(true, COUNT_DIGITS, goal, below);
    keep.tie = lower_digits(true, top, goal, below);
    keep.last = find(true, keep, 0.0, uvec2(k - 1 - below.x, 0));
}

// philox returns the first two words of Philox4x32-10.
uvec2 philox(uvec2 key, uvec2 position) {
    uvec4 c = uvec4(position, 0, 0);
    for (uint i = 0; i < 10; i++) {
        uint hi0, lo0, hi1, lo1;
        umulExtended(0xD2511F53, c.x, hi0, lo0);
        umulExtended(0xCD9E8D57, c.z, hi1, lo1);
        c = uvec4(hi1 ^ c.y ^ key.x, lo1, hi0 ^ c.w ^ key.y, lo0);
        key += uvec2(0x9E3779B9, 0xBB67AE85);
    }
    return c.xy;
}

uint draw(uint seq) {
    find_largest();
    if (most == 0xFFFFFFFF) return DRAW_BAD | at_most;
    if (most <= NO_ORDER) return DRAW_EMPTY;
    Draw d = draws[seq];
    if ((d.flags & DRAW_GREEDY) != 0) return at_most;
    largest = uintBitsToFloat((most & 0x80000000) != 0 ? most ^ 0x80000000 : ~most);

    Keep keep = Keep(d.limit, OUT_KEY, 0);
    if (d.top_p != 0) keep.key = min(keep.key, top_p_key(d.top_p));
    if (d.top_k != 0) top_k(d.top_k, keep);
    uvec2 position = plus(uvec2(d.position_lo, d.position_hi), uvec2(push.step, 0));
    return find(false, keep, d.factor, philox(uvec2(d.seed_lo, d.seed_hi), position));
}

void main() {
    uint seq = gl_WorkGroupID.x, lane = gl_LocalInvocationID.x;
    bool ended = spans[seq].len == 0;
    row = seq * push.stride;
    uint id = DRAW_NONE;
    if (!ended) id = draw(seq);
    if (lane != 0) return;
    drawn[push.step * push.seqs + seq] = id;
    if (ended) return;
    bool end = id >= DRAW_BAD || (draws[seq].flags & DRAW_ONCE) != 0;
    for (uint i = 0; i < 8; i++) end = end || draws[seq].end[i] == id;
    if (end) spans[seq].len = 0;
    if (id < DRAW_BAD) tokens[seq] = id;
}
