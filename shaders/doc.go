// Package shaders holds the compute kernels, compiled and embedded, each behind the Go types that the generator read
// from it: Args for its buffers, Push and Spec for its constants, Variant for its compiled forms.
//
// To add the shader gelu:
//
//  1. Write gelu.comp: bindings of set 0, push constants and specialization constants each numbered from 0 without
//     gaps; push constants are uint, int or float. Declare buffers readonly or writeonly: barriers follow from it.
//     Those that may share memory, one of them written, are ALIASED (lib/load.glsl).
//  2. Add a line "gelu f32" to variants.txt for each form, with the macros it defines: "gelu f16 IN_F16=1". A texel
//     binding x has four 32-bit components unless the line says otherwise: "gelu f32_tx X_TEXEL=1 x:r32f".
//  3. Run cmake -P CMakeLists-shaders.txt, which wants glslc, spirv-opt and spirv-val, then
//     go run ./shaders/internal/gen.
//  4. Call NewGelu(dev, GeluF32, GeluSpec{Local: 64}) and Dispatch with GeluArgs and GeluPush.
//  5. What Go must know besides, such as the size of a tile, is a constant of gelu.comp: a line of glsl.txt gives it a name
//     in package shaders/glsl.
//  6. Commit gelu.comp, variants.txt, glsl.txt, spv and the generated files together.
//
// Code that several shaders share lies in lib and is included as "lib/name.glsl". A buffer is named in Go by its GLSL
// instance name or, without one, by its block name; of several views of one binding the shortest name counts. All
// variants of a shader have the same names, numbers and types, but one may read by textureBuffer what another reads
// from a storage buffer, and element types may differ. A workgroup size that the device sets reads
//
//	layout(local_size_x_id = 0) in;
//	layout(constant_id = 0) const uint LOCAL = 64;
//
// Compiled shaders are committed, as building the engine must not need a shader compiler. Whether they are what their
// source compiles to is checked by
//
//	cmake -DCHECK=1 -P CMakeLists-shaders.txt && go run ./shaders/internal/gen -check
//
// which compares bytes where compiler and optimiser are of the versions in spv/VERSION, and otherwise, since each
// version makes other code, only zbind.go, which depends on the declarations alone.
package shaders

//go:generate cmake -P ../CMakeLists-shaders.txt
//go:generate go run ./internal/gen
