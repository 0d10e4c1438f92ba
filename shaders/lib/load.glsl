// Inputs, bound as storage buffers or, with TEXEL defined, as uniform texel buffers: which of the two a device reads
// faster differs by an order of magnitude between drivers, so both are compiled and the device is measured. Texel
// buffers are textureBuffer and not samplerBuffer: SPIR-V knows no sampler of a buffer any more (OpTypeSampledImage),
// and drivers say so.
//
// FLOATS(n, Name) declares binding n as an array of float, read by F(Name, i); VEC4S by V4, UINT4S by U4, or its
// component c by U1; WEIGHT4S and W4 are for 4 elements of a weight (lib/weights.glsl). WEIGHTS(n), W16 and W1 are
// UINT4S, U4 and U1 of the weights W, which LITERALS has as texels where all else is in storage buffers.

// What may share memory with a binding that is written is ALIASED, and so is that one: SPIR-V lets compilers take all
// others for apart. It stands before the declaration.
#extension GL_EXT_spirv_intrinsics : require
#extension GL_EXT_samplerless_texture_functions : require
#define ALIASED spirv_decorate(20)

#ifdef TEXEL
#define FLOATS(n, Name) layout(binding = n) uniform textureBuffer Name
#define VEC4S(n, Name) layout(binding = n) uniform textureBuffer Name
#define UINT4S(n, Name) layout(binding = n) uniform utextureBuffer Name
#define F(Name, i) texelFetch(Name, int(i)).x
#define V4(Name, i) texelFetch(Name, int(i))
#define U4(Name, i) texelFetch(Name, int(i))
#define U1(Name, i, c) texelFetch(Name, int(i))[c]
#else
#define FLOATS(n, Name) layout(binding = n) readonly buffer Name { float Name##_at[]; }
#define VEC4S(n, Name) layout(binding = n) readonly buffer Name { vec4 Name##_at[]; }
#define UINT4S(n, Name) layout(binding = n) readonly buffer Name { uvec4 Name##_at[]; }
#define F(Name, i) Name##_at[i]
#define V4(Name, i) Name##_at[i]
#define U4(Name, i) Name##_at[i]
#define U1(Name, i, c) Name##_at[i][c]
#endif

#ifdef LITERALS
#define WEIGHTS(n) layout(binding = n) uniform utextureBuffer W
#define W16(i) texelFetch(W, int(i))
#define W1(i, c) texelFetch(W, int(i))[c]
#else
#define WEIGHTS(n) UINT4S(n, W)
#define W16(i) U4(W, i)
#define W1(i, c) U1(W, i, c)
#endif
