// Weights as they are stored. A variant defines one of W_F32, W_F16, W_BF16, or a block type (lib/blocks.glsl).
// Only 32-bit loads and bit operations, so that no optional feature of a device is needed.
#include "lib/load.glsl"

#ifdef LITERALS
// unpack2 is unpackHalf2x16 of finite numbers, without shifts, for compilers to which both mean dozens of instructions:
// multiplied into place, with the exponent of float32. A subnormal half then has a leading bit that it should not have:
// 2 v - 2^-14 is what it is, and for any other number more than v.
vec2 unpack2(uint w) {
    uvec2 bits = uvec2((w & 0x7fffu) * 8192u, int(float(int(w & 0x7fff0000u)) * 0.125)) + (127u - 15u) * (1u << 23);
    vec2 v = uintBitsToFloat(bits);
    v = min(v, v + v - 6.103515625e-5);
    return uintBitsToFloat(floatBitsToUint(v) | uvec2((w & 0x8000u) * 65536u, w & 0x80000000u));
}
#else
#define unpack2 unpackHalf2x16
#endif

#if defined(W_F32)
#define WORDS4 uvec4
vec4 unpack4(uvec4 w) { return uintBitsToFloat(w); }
#elif defined(W_F16)
#define WORDS4 uvec2
vec4 unpack4(uvec2 w) { return vec4(unpack2(w.x), unpack2(w.y)); }
#elif defined(W_BF16)
#define WORDS4 uvec2
vec4 unpack4(uvec2 w) {
    return uintBitsToFloat(uvec4(w.x << 16, w.x & 0xffff0000u, w.y << 16, w.y & 0xffff0000u));
}
#endif

// WEIGHT4S(n, Name) declares binding n as groups of 4 elements, W4(Name, i) reads one.
#ifdef TEXEL
#define WEIGHT4S(n, Name) layout(binding = n) uniform utextureBuffer Name
#ifdef W_F32
#define W4(Name, i) unpack4(texelFetch(Name, int(i)))
#else
#define W4(Name, i) unpack4(texelFetch(Name, int(i)).xy)
#endif
#else
#define WEIGHT4S(n, Name) layout(binding = n) readonly restrict buffer Name { WORDS4 Name##_at[]; }
#define W4(Name, i) unpack4(Name##_at[i])
#endif
