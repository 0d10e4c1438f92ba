// Sums over a quad of lanes: each has them.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_quad : require

float quad_sum(float x) {
    x += subgroupQuadSwapHorizontal(x);
    return x + subgroupQuadSwapVertical(x);
}
