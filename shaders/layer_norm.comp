#version 450
// op.LayerNorm: Y[i] = layer_norm(X[row of out i]). One workgroup per out.
#include "lib/load.glsl"
#include "lib/reduce.glsl"

layout(push_constant) uniform Push {
    uint width;
    uint norm_w; // offsets into params
    uint norm_b;
    float eps;
} push;

layout(binding = 0) readonly buffer Outs { uint outs[]; };
FLOATS(1, X);
FLOATS(2, Params);
layout(binding = 3) writeonly buffer Y { float y[]; };

void main() {
    uint stride = (push.width + 7) & ~7u;
    uint base = outs[gl_WorkGroupID.x] * stride;
    float sum = 0.0;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += Local) sum += F(X, base + c);
    float mean = workgroup_sum(sum) / float(push.width);
    float sq = 0.0;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += Local) {
        float d = F(X, base + c) - mean;
        sq += d * d;
    }
    float rstd = inversesqrt(workgroup_sum(sq) / float(push.width) + push.eps);
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += Local)
        y[gl_WorkGroupID.x * stride + c] =
            (F(X, base + c) - mean) * rstd * F(Params, push.norm_w + c) + F(Params, push.norm_b + c);
}
