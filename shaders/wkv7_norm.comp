#version 450
// op.WKV7, after the recurrence: group norm of each head, bonus and gate, in place. One subgroup per token and head.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

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

layout(binding = 0) readonly buffer R { float r[]; };
layout(binding = 1) readonly buffer K { float k[]; };
layout(binding = 2) readonly buffer V { float v[]; };
layout(binding = 3) readonly buffer A { float a[]; };
layout(binding = 4) readonly buffer G { float g[]; };
layout(binding = 5) readonly buffer Params { float params[]; };
layout(binding = 6) buffer Y { float y[]; };

void main() {
    uint unit = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID;
    if (unit >= push.tokens * push.heads) return;
    uint channel = unit % push.heads * push.n; // of the head's first element
    uint at = unit / push.heads * push.stride + channel;

    float sum = 0.0, bonus = 0.0;
    for (uint c = gl_SubgroupInvocationID; c < push.n; c += gl_SubgroupSize) {
        sum += y[at + c];
        float key = k[at + c] * (1.0 + (a[at + c] - 1.0) * params[push.ka + channel + c]);
        bonus += r[at + c] * key * params[push.rk + channel + c];
    }
    float mean = subgroupAdd(sum) / float(push.n);
    bonus = subgroupAdd(bonus);
    float sq = 0.0;
    for (uint c = gl_SubgroupInvocationID; c < push.n; c += gl_SubgroupSize) {
        float d = y[at + c] - mean;
        sq += d * d;
    }
    float rstd = inversesqrt(subgroupAdd(sq) / float(push.n) + push.eps);
    for (uint c = gl_SubgroupInvocationID; c < push.n; c += gl_SubgroupSize) {
        float o = (y[at + c] - mean) * rstd * params[push.norm_w + channel + c] + params[push.norm_b + channel + c];
        y[at + c] = (o + bonus * v[at + c]) * g[at + c];
    }
}
