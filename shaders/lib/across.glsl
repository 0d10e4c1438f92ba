// Sums over neighbouring lanes by exchanges, which many GPUs need no more than the additions for. Where lanes are
// emulated, an exchange is an instruction and subgroupAdd a loop over the lanes.
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_control_flow_attributes : require

// across_sum adds what some neighbouring lanes have, a power of 2 and at most 64: two at a time, then four and so on, as
// if by a mirror.
float across_sum(float v, uint lanes) {
    [[unroll]] for (uint b = 0; b < 6; b++)
        if (lanes > 1u << b) v += subgroupShuffleXor(v, (2u << b) - 1);
    return v;
}
