// Rows of the weight W, included after its UINT4S(n, W): fetch reads a unit of a row, unpack8 gives 8 of its elements.
// A unit of a plain type is 8 elements. One of a block type is 32, out of superblocks of 256 that the host has packed
// (engine/vulkan/layout/pack.go): SIZE uvec4 each, what belongs to a unit together in whole uvec4 or words.
//
// Words of 16 bytes lie in bands: word w of the Band rows of a band lie side by side, and with Band = 1 a row is whole.
// Lanes that take a row each then load neighbouring words. In a wide band of a block type, lines lie side by side, of Line
// words of a row each.
//
// Elements are scale * code + minimum, with one scale and minimum to a unit, or SCALES = 2 for its halves.

#if defined(W_F32) || defined(W_F16) || defined(W_BF16)

#define PLAIN
const uint GROUPS = 1, SCALES = 1; // groups of 8 elements in a unit
const uint Line = 1;

#ifdef W_F32
struct Packed { uvec4 lo; uvec4 hi; };
const uint SIZE = 2; // words of a unit
Packed fetch(uint row, uint u) { return Packed(W16(row + Band * 2 * u), W16(row + Band * (2 * u + 1))); }
void unpack8(Packed p, uint c, out vec4 lo, out vec4 hi) { lo = unpack4(p.lo); hi = unpack4(p.hi); }
#else
struct Packed { uvec4 q; };
const uint SIZE = 1;
Packed fetch(uint row, uint u) { return Packed(W16(row + Band * u)); }
void unpack8(Packed p, uint c, out vec4 lo, out vec4 hi) { lo = unpack4(p.q.xy); hi = unpack4(p.q.zw); }
#endif
float scale(Packed p, uint h) { return 1.0; }
float minimum(Packed p, uint h) { return 0.0; }
#define fetch8(row, u, c) fetch(row, u) // the only group

uint words(uint units) { return SIZE * units; }

#else

const uint GROUPS = 4;
#if defined(W_Q3_K) || defined(W_Q6_K)
const uint SCALES = 2;
#else
const uint SCALES = 1;
#endif

// Wide bands are for processors, whose vectors emulate lanes. There is much to do between two words of a row, too much for
// a processor to load so far ahead. A line of its cache has LINE words: the first of them brings the others.
const uint WIDE_BAND = 64, LINE = 4;
const uint Line = Band >= WIDE_BAND ? LINE : 1;

// place returns where word i of a row lies behind the row's first.
uint place(uint i) { return i / Line * Line * Band + i % Line; }

// SIZE counts the words of a superblock, CODES those before its units' codes, and HIGH those before the bits of these
// that lie apart, a bit for each element.
#if defined(W_Q8_0)
const uint SIZE = 17, CODES = 1;
#elif defined(W_Q4_0) || defined(W_IQ4_NL) || defined(W_Q4_K)
const uint SIZE = 9, CODES = 1;
#elif defined(W_Q4_1)
const uint SIZE = 10, CODES = 2;
#elif defined(W_Q5_0) || defined(W_Q5_K)
#define HIGH 1
const uint SIZE = 11, CODES = 3;
#elif defined(W_Q5_1)
#define HIGH 2
const uint SIZE = 12, CODES = 4;
#elif defined(W_Q6_K)
const uint SIZE = 14, CODES = 6;
#elif defined(W_Q3_K)
#define HIGH 1
const uint SIZE = 7, CODES = 3;
#endif
#ifndef W_Q8_0
#ifndef W_IQ4_NL
#define MINIMA // other than 0
#endif
#endif

struct Packed {
    uvec4 q; // 32 nibbles; of Q8_0, the first 16 elements; of Q3_K, in xy, 32 pairs of bits
#ifdef W_Q8_0
    uvec4 q1;
#endif
#ifdef W_Q6_K
    uvec2 pairs;
#endif
#ifdef HIGH
    uint high; // a bit of each element
#endif
    vec2 s, m;
};

float half_of(uint w, uint odd) { return unpackHalf2x16(w >> 16 * odd).x; }

// pair returns two of the four words of a uvec4.
uvec2 pair(uvec4 w, uint odd) { return odd != 0 ? w.zw : w.xy; }

// six returns two 6-bit numbers of unit j: their low nibbles are a byte in y and z, their high bits a nibble of w.
uvec2 six(uvec4 head, uint j) {
    uint low = (j < 4 ? head.y : head.z) >> 8 * (j & 3), high = head.w >> 4 * j;
    return uvec2(low & 15u | (high & 3u) << 4, low >> 4 & 15u | (high & 12u) << 2);
}

#define AT(k) (row + place(at + (k))) // word k of the superblock that begins with word at of a row

// The first words of a superblock belong to all its units. A kernel that defines HEADS loads them once, by head, for
// the fetches of 8 units.
#ifdef HEADS
struct Head { uvec4 first, second; };
Head head(uint row, uint superblock) {
    uint at = SIZE * superblock;
#if defined(W_Q4_1) || defined(W_Q5_1) || defined(W_Q6_K)
    return Head(W16(AT(0)), W16(AT(1)));
#else
    return Head(W16(AT(0)), uvec4(0));
#endif
}
#define OF_HEAD Head h,
#define HEAD h,
#define FIRST4 h.first
#define FIRST1(c) h.first[c]
#define EITHER1(k, c) ((k) == 0 ? h.first : h.second)[c]
#else
#define OF_HEAD
#define HEAD
#define FIRST4 W16(AT(0))
#define FIRST1(c) W1(AT(0), c)
#define EITHER1(k, c) W1(AT(k), c)
#endif

// factors gives the scales and minima of unit j of the superblock that begins with word at of a row.
void factors(OF_HEAD uint row, uint at, uint j, inout Packed p) {
#if defined(W_Q8_0)
    p.s = vec2(half_of(FIRST1(j >> 1), j & 1));
    p.m = vec2(0.0);
#elif defined(W_Q4_0) || defined(W_IQ4_NL)
    p.s = vec2(half_of(FIRST1(j >> 1), j & 1));
    p.m = -8.0 * p.s;
#elif defined(W_Q4_1) || defined(W_Q5_1)
    vec2 sm = unpackHalf2x16(EITHER1(j >> 2, j & 3));
    p.s = sm.xx;
    p.m = sm.yy;
#elif defined(W_Q5_0)
    p.s = vec2(half_of(FIRST1(j >> 1), j & 1));
    p.m = -16.0 * p.s;
#elif defined(W_Q4_K) || defined(W_Q5_K)
    uvec4 head = FIRST4;
    vec2 sm = unpackHalf2x16(head.x) * vec2(six(head, j));
    p.s = sm.xx;
    p.m = -sm.yy;
#elif defined(W_Q6_K)
    int scales = int(FIRST1(j >> 1) >> 16 * (j & 1));
    p.s = unpackHalf2x16(EITHER1(1, 0)).x * vec2(scales << 24 >> 24, scales << 16 >> 24);
    p.m = -32.0 * p.s;
#elif defined(W_Q3_K)
    uvec4 head = FIRST4;
    p.s = unpackHalf2x16(head.x).x * (vec2(six(head, j)) - 32.0);
    p.m = -4.0 * p.s;
#endif
}

Packed fetch(OF_HEAD uint row, uint u) {
    uint j = u & 7, at = SIZE * (u >> 3);
    Packed p;
#if defined(W_Q8_0)
    p.q = W16(AT(CODES + 2 * j));
    p.q1 = W16(AT(CODES + 2 * j + 1));
#elif defined(W_Q3_K)
    p.q.xy = pair(W16(AT(CODES + (j >> 1))), j & 1);
#else
    p.q = W16(AT(CODES + j));
#endif
#ifdef W_Q6_K
    p.pairs = pair(W16(AT(2 + (j >> 1))), j & 1);
#endif
#ifdef HIGH
    p.high = W1(AT(HIGH + (j >> 2)), j & 3);
#endif
    factors(HEAD row, at, j, p);
    return p;
}

// codes4 returns the codes of elements 4*k .. 4*k+3 as bytes.
uint codes4(Packed p, uint k) {
#if defined(W_Q8_0)
    return k < 4 ? p.q[k] : p.q1[k - 4];
#elif defined(W_Q3_K)
    return p.q[k >> 2] >> 2 * (k & 3) & 0x03030303u | (p.high >> k & 0x01010101u) << 2;
#else
    uint low = p.q[k >> 1] >> 4 * (k & 1) & 0x0f0f0f0fu;
#if defined(W_Q6_K)
    return low | (p.pairs[k >> 2] >> 2 * (k & 3) & 0x03030303u) << 4;
#elif defined(HIGH)
    return low | (p.high >> k & 0x01010101u) << 4;
#else
    return low;
#endif
#endif
}

#if defined(W_Q8_0)
vec4 decode4(uint codes) { return vec4(ivec4(codes) << ivec4(24, 16, 8, 0) >> 24); }
#elif defined(W_IQ4_NL)
// The levels, as model/tensor has them, 4 to a word.
uint level(uint i) {
    uint lower = (i & 4) != 0 ? 0xf6eaddcfu : 0xbfad9881u, upper = (i & 4) != 0 ? 0x71594535u : 0x26190d01u;
    return ((i & 8) != 0 ? upper : lower) >> 8 * (i & 3);
}
vec4 decode4(uint codes) {
    uvec4 l = uvec4(level(codes), level(codes >> 8), level(codes >> 16), level(codes >> 24));
    return vec4(ivec4(l << 24) >> 24);
}
#else
vec4 decode4(uint codes) { return vec4(uvec4(codes) >> uvec4(0, 8, 16, 24) & 0xffu); }
#endif

// unpack8 gives the codes of elements 8*c .. 8*c+7.
void unpack8(Packed p, uint c, out vec4 lo, out vec4 hi) {
    lo = decode4(codes4(p, 2 * c));
    hi = decode4(codes4(p, 2 * c + 1));
}

float scale(Packed p, uint h) { return h == 0 ? p.s.x : p.s.y; }
#ifdef MINIMA
float minimum(Packed p, uint h) { return h == 0 ? p.m.x : p.m.y; }
#else
float minimum(Packed p, uint h) { return 0.0; }
#endif

#ifdef EMULATED
// Emulated lanes convert no integers: unpack8_fast gives 1 + code / LEVELS, of which a code is the first bits behind the
// point. The types without minima have codes with a sign, and stay as unpack8 gives them.
#ifdef MINIMA
#if defined(W_Q3_K)
const uint BITS = 3;
#elif defined(W_Q6_K)
const uint BITS = 6;
#elif defined(HIGH)
const uint BITS = 5;
#else
const uint BITS = 4;
#endif
const float LEVELS = float(1 << BITS);

// fractions4 takes the codes at bit 0, 8, 16 and 24 of a word, among others.
vec4 fractions4(uint w) {
    const uint TOP = 23 - BITS; // of the codes' lowest bits in a float
    uvec4 moved = uvec4(w << TOP, w << TOP - 8, w << TOP - 16, w >> 24 - TOP);
    return uintBitsToFloat(moved & (1u << 23) - (1u << TOP) | 0x3f800000u);
}

void unpack8_fast(Packed p, uint c, out vec4 lo, out vec4 hi) {
    lo = fractions4(BITS == 4 ? p.q[c] : codes4(p, 2 * c));
    hi = fractions4(BITS == 4 ? p.q[c] >> 4 : codes4(p, 2 * c + 1));
}
#else
#define unpack8_fast unpack8
#endif

float sum4(vec4 v) { return v.x + v.y + (v.z + v.w); }

// dot8 multiplies 8 elements with x. Of several such sums none waits for the one before, as it would along a row.
float dot8(vec4 lo, vec4 hi, vec4 x_lo, vec4 x_hi) {
    float sum = fma(lo.w, x_lo.w, fma(lo.z, x_lo.z, fma(lo.y, x_lo.y, lo.x * x_lo.x)));
    return fma(hi.w, x_hi.w, fma(hi.z, x_hi.z, fma(hi.y, x_hi.y, fma(hi.x, x_hi.x, sum))));
}

// scaled adds to a sum the products of elements of half h of a unit with x, of which sum has those of x with what
// unpack8_fast gave, and x_sum the sum of x.
float scaled(Packed p, uint h, float sum, float x_sum, float to) {
#ifdef MINIMA
    float s = scale(p, h) * LEVELS;
    return fma(s, sum, fma(minimum(p, h) - s, x_sum, to));
#else
    return fma(scale(p, h), sum, to);
#endif
}
#endif

// fetch8 reads group c of 8 elements of a unit alone, for a lane that has three others beside it: as group 0 of what it
// returns, with its scale and minimum as those of the first half.
#ifndef HEADS
Packed fetch8(uint row, uint u, uint c) {
    uint j = u & 7, at = SIZE * (u >> 3);
    Packed p;
#if defined(W_Q8_0)
    uint k = AT(CODES + 2 * j + (c >> 1));
    p.q.xy = uvec2(W1(k, 2 * (c & 1)), W1(k, 2 * (c & 1) + 1));
#elif defined(W_Q3_K)
    p.q.x = W1(AT(CODES + (j >> 1)), 2 * (j & 1) + (c >> 1)) >> 4 * (c & 1);
#else
    p.q.x = W1(AT(CODES + j), c);
#endif
#ifdef W_Q6_K
    p.pairs.x = W1(AT(2 + (j >> 1)), 2 * (j & 1) + (c >> 1)) >> 4 * (c & 1);
#endif
#ifdef HIGH
    p.high = W1(AT(HIGH + (j >> 2)), j & 3) >> 2 * c;
#endif
    factors(row, at, j, p);
    uint h = c * SCALES / GROUPS;
    p.s.x = scale(p, h);
    p.m.x = minimum(p, h);
    return p;
}
#endif

// words returns the words of a row, whole lines.
uint words(uint units) { return (SIZE * ((units + 7) >> 3) + Line - 1) / Line * Line; }

#endif

// row_at returns where row m of a matrix that starts at first lies; both count words.
uint row_at(uint first, uint m, uint units) { return first + m / Band * Band * words(units) + m % Band * Line; }

const uint UNIT4 = 2 * GROUPS; // 4-element groups in a unit

// weight8 gives elements 8*c .. 8*c+7.
void weight8(Packed p, uint c, out vec4 lo, out vec4 hi) {
    unpack8(p, c, lo, hi);
#ifndef PLAIN
    uint h = c * SCALES / GROUPS;
    lo = fma(lo, vec4(scale(p, h)), vec4(minimum(p, h)));
    hi = fma(hi, vec4(scale(p, h)), vec4(minimum(p, h)));
#endif
}
