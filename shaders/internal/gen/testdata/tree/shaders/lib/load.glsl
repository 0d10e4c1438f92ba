// Weights are packed halves (W_F16) or floats, read as storage buffer or by texel (W_TEXEL).
#if defined(W_TEXEL)
#extension GL_EXT_samplerless_texture_functions : require
layout(set = 0, binding = 0) uniform utextureBuffer w;
#define WORD(i) texelFetch(w, int(i)).x
#else
layout(set = 0, binding = 0) readonly buffer Weights { uint word[]; } w;
#define WORD(i) w.word[i]
#endif

#if defined(W_F16)
float weight(uint i) { return unpackHalf2x16(WORD(i >> 1))[i & 1u]; }
#else
float weight(uint i) { return uintBitsToFloat(WORD(i)); }
#endif
