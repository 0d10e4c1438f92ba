// Weights as they are stored, read 4 or 8 elements at a time. A variant defines one of W_F32, W_F16, W_BF16.
// Only 32-bit loads and bit operations, so that no optional feature of a device is needed.

#if defined(W_F32)
#define W4 uvec4
vec4 unpack4(uvec4 w) { return uintBitsToFloat(w); }
#elif defined(W_F16)
#define W4 uvec2
vec4 unpack4(uvec2 w) { return vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y)); }
#elif defined(W_BF16)
#define W4 uvec2
vec4 unpack4(uvec2 w) {
    return uintBitsToFloat(uvec4(w.x << 16, w.x & 0xffff0000u, w.y << 16, w.y & 0xffff0000u));
}
#endif

// LOAD8(buffer, i, lo, hi) reads elements 8*i .. 8*i+7 of a uvec4 array.
#if defined(W_F32)
#define LOAD8(buf, i, lo, hi) { lo = uintBitsToFloat(buf[2 * (i)]); hi = uintBitsToFloat(buf[2 * (i) + 1]); }
#else
#define LOAD8(buf, i, lo, hi) { uvec4 w8 = buf[i]; lo = unpack4(w8.xy); hi = unpack4(w8.zw); }
#endif
