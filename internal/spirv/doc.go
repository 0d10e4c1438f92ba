// Package spirv reads and rewrites compute shaders in SPIR-V, and knows what their capabilities ask of a device.
// Nothing else in this module looks into SPIR-V.
//
// Parse reads what a caller must know to run a shader: its buffers, push constants, specialization constants, workgroup
// size and shared memory, and the capabilities that it asks of the device. Names stand in a module that was neither
// optimised nor stripped. Code is a module as instructions, for what has to change in one before a device gets it.
//
// Source: the SPIR-V Specification, section 2.3 (physical layout) and section 3 (binary form). Numbers are those of its
// tables.
package spirv
