package main

// sampleMutants are those of the draw.
var sampleMutants = []mutant{
	{File: "sample_adjust.comp", Old: `if (decayed < MIN_COUNT) decayed = 0.0;`, New: `if (decayed < 0.5) decayed = 0.0;`, Why: "counts that have decayed"},
	{File: "sample_adjust.comp", Old: `excluded &= excluded - 1`, New: `excluded = 0`, Why: "more than one masked id of 32"},
	{File: "sample_adjust.comp", Old: `if (spans[seq].len == 0) return;`, New: ``, Why: "a sequence that has ended"},
	{File: "sample_adjust.comp", Old: `bool accept = push.step > 0;`, New: `bool accept = true;`, Why: "the host's own acceptance"},
	{File: "sample_adjust.comp", Old: "if (lane == 0) found = 0;\n    barrier();", New: "if (lane == 0) found = 0;", Why: "barrier before found is set", Test: "gpu TestBackwards/draws"},
	{File: "sample_adjust.comp", Old: "    barrier();\n    if (accept && lane == 0 && found == 0) {", New: "    if (accept && lane == 0 && found == 0) {", Why: "barrier before found is read"},
	{File: "sample_adjust.comp", Old: `lengths[seq] = length + 1;`, New: `lengths[seq] = length;`, Why: "length of the list of counts"},
	{File: "sample_adjust.comp", Old: `biases[seq * push.room + i]`, New: `biases[i]`, Why: "biases of a second sequence"},
	{File: "sample_adjust.comp", Old: `i < draws[seq].biased; i += Local`, New: `i < min(draws[seq].biased, 1); i += Local`, Why: "more than one bias"},

	{File: "sample_draw.comp", Old: "        at_most = DRAW_NONE;\n    }", New: "        at_most = 0;\n    }", Why: "lowest id"},
	{File: "sample_draw.comp", Old: "    barrier();\n    atomicMax(most, order);", New: "    atomicMax(most, order);", Why: "barrier before the largest is looked for", Test: "gpu TestBackwards/draws"},
	{File: "sample_draw.comp", Old: "atomicMax(most, order);\n    barrier();", New: "atomicMax(most, order);", Why: "barrier before the largest is read"},
	{File: "sample_draw.comp", Old: "if (order == most) atomicMin(at_most, id);\n    barrier();", New: "if (order == most) atomicMin(at_most, id);", Why: "barrier before the lowest id is read"},
	{File: "sample_draw.comp", Old: "mass_lo[i] = 0;\n    barrier();", New: "mass_lo[i] = 0;", Why: "barrier before masses are added"},
	{File: "sample_draw.comp", Old: "atomicAdd(mass_lo[HIGH + digit], w.y);\n        }\n    }\n    barrier();", New: "atomicAdd(mass_lo[HIGH + digit], w.y);\n        }\n    }", Why: "barrier before masses are read"},
	{File: "sample_draw.comp", Old: "part_hi[lane] = sum.y;\n    barrier();", New: "part_hi[lane] = sum.y;", Why: "barrier before parts are read"},
	{File: "sample_draw.comp", Old: `barrier(); // before part and mass are written again`, New: `// before part and mass are written again`, Why: "barrier before masses are written again"},
	{File: "sample_draw.comp", Old: `barrier(); // before part is written again`, New: `// before part is written again`, Why: "barrier before parts are written again"},
	{File: "sample_draw.comp", Old: `lo < a.x ? 1 : 0)`, New: `lo <= a.x ? 1 : 0)`, Why: "carry of a sum"},
	{File: "sample_draw.comp", Old: `drop, y & 0xFFFF`, New: `drop, y & 0xFFF`, Why: "interpolation between weights"},
	{File: "sample_draw.comp", Old: `if (bits == 0x80000000) bits = 0;`, New: ``, Why: "minus zero"},
	{File: "sample_draw.comp", Old: `key == keep.tie && id <= keep.last`, New: `key == keep.tie && id < keep.last`, Why: "last of equal keys"},
	{File: "sample_draw.comp", Old: `i < 10; i++) {`, New: `i < 9; i++) {`, Why: "rounds of the random numbers"},
	{File: "sample_draw.comp", Old: `i < 8; i++) end = end`, New: `i < 7; i++) end = end`, Why: "the eighth id that ends a text"},
	{File: "sample_draw.comp", Old: `if (end) spans[seq].len = 0;`, New: ``, Why: "end of a sequence"},
	{File: "sample_draw.comp", Old: `uvec2(k - 1 - below.x, 0)`, New: `uvec2(k - below.x, 0)`, Why: "number of ids that top-k leaves"},
	{File: "sample_draw.comp", Old: `uvec2(lo0 != 0 ? 1 : 0, 0)`, New: `uvec2(0)`, Why: "rounding of top-p's goal"},
}
