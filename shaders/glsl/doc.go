// Package glsl has what the sources of the kernels fix and Go must know: sizes of tiles, layouts of tables, flags. It
// is generated from those sources by shaders/internal/gen as shaders/glsl.txt says, so that each stands in one place;
// make check holds it to them.
package glsl
