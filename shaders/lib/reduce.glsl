// Sums over a workgroup. Local is its size; with Single = 1 it is one subgroup, and nothing but subgroup operations
// runs.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

layout(constant_id = 0) const uint Local = 64;
layout(constant_id = 1) const uint Single = 0;
layout(local_size_x_id = 0) in;

// Array sizes are literals throughout: some translators of SPIR-V size an array by a constant's default. Here: as many
// subgroups of 4 as a workgroup of 1024 has.
shared float partial_sum[256];

float workgroup_sum(float v) {
    v = subgroupAdd(v);
    if (Single == 0) {
        if (subgroupElect()) partial_sum[gl_SubgroupID] = v;
        barrier();
        v = 0.0;
        for (uint i = 0; i < gl_NumSubgroups; i++) v += partial_sum[i];
        barrier(); // before the next sum writes
    }
    return v;
}
