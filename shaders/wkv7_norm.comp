#version 450
// op.WKV7, after the recurrence: group norm of each head, bonus and gate, in place: O and Y are the same memory. One
// subgroup per token and head.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#include "lib/load.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint n;      // head size
    uint heads;
    uint tokens;
    uint stride; // between tokens
    uint ka;     // offsets into params
    uint rk;
    uint norm_w;
    uint norm_b;
    float eps;
} push;

FLOATS(0, R);
FLOATS(1, K);
FLOATS(2, V);
FLOATS(3, A);
FLOATS(4, G);
ALIASED FLOATS(5, O);
FLOATS(6, Params);
ALIASED layout(binding = 7) writeonly buffer Y { float y[]; };

void main() {
    uint pair = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID; // of a token and a head
    if (pair >= push.tokens * push.heads) return;
    uint channel = pair % push.heads * push.n; // of the head's first element
    uint at = pair / push.heads * push.stride + channel;

    float sum = 0.0, bonus = 0.0;
    for (uint c = gl_SubgroupInvocationID; c < push.n; c += gl_SubgroupSize) {
        sum += F(O, at + c);
        float key = F(K, at + c) * (1.0 + (F(A, at + c) - 1.0) * F(Params, push.ka + channel + c));
        bonus += F(R, at + c) * key * F(Params, push.rk + channel + c);
    }
    float mean = subgroupAdd(sum) / float(push.n);
    bonus = subgroupAdd(bonus);
    float sq = 0.0;
    for (uint c = gl_SubgroupInvocationID; c < push.n; c += gl_SubgroupSize) {
        float d = F(O, at + c) - mean;
        sq += d * d;
    }
    float rstd = inversesqrt(subgroupAdd(sq) / float(push.n) + push.eps);
    for (uint c = gl_SubgroupInvocationID; c < push.n; c += gl_SubgroupSize) {
        float o = (F(O, at + c) - mean) * rstd * F(Params, push.norm_w + channel + c) + F(Params, push.norm_b + channel + c);
        y[at + c] = (o + bonus * F(V, at + c)) * F(G, at + c);
    }
}
