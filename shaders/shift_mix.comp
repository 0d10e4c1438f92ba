#version 450
// op.ShiftMix: layer norm, token shift and all interpolations of it. One workgroup per row, which normalises the row
// before it again rather than wait for that row's workgroup: a second read from cache against a dispatch and a barrier.
#include "lib/load.glsl"
#include "lib/reduce.glsl"
#include "lib/batch.glsl"

// 1: each sequence has one row, and Last and State are the same memory: the shift is committed at once.
layout(constant_id = 2) const uint InPlace = 0;

layout(push_constant) uniform Push {
    uint width;
    uint mixes;
    uint norm_w;     // offsets into params
    uint norm_b;
    uint mix;        // the first of the coefficient vectors, which lie one behind the other
    uint state_off;  // of this shift in a slot's vector and in a sequence's
    uint state_stride;
    float eps;
} push;

layout(binding = 0) readonly buffer RowSeq { uint row_seq[]; };
layout(binding = 1) readonly buffer Spans { Span spans[]; };
FLOATS(2, X);
FLOATS(3, Params);
FLOATS(4, State);
layout(binding = 5) buffer Last { float last[]; };
layout(binding = 6) writeonly buffer Y { float y[]; };

// moments returns (mean, 1/sqrt(var + eps)) of the row that begins at base.
vec2 moments(uint base) {
    float sum = 0.0;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += Local) sum += F(X, base + c);
    float mean = workgroup_sum(sum) / float(push.width);
    float sq = 0.0;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += Local) {
        float d = F(X, base + c) - mean;
        sq += d * d;
    }
    return vec2(mean, inversesqrt(workgroup_sum(sq) / float(push.width) + push.eps));
}

void main() {
    uint row = gl_WorkGroupID.x;
    uint seq = row_seq[row];
    Span span = spans[seq];
    uint stride = (push.width + 7) & ~7u;
    uint base = row * stride;
    bool first = InPlace == 1 || row == span.start;
    bool final = row == span.start + span.len - 1; // not of a sequence that has ended within a submission

    vec2 m = moments(base);
    vec2 p = vec2(0.0);
    if (!first) p = moments(base - stride);
    uint state_base = span.slot * push.state_stride + push.state_off;
    uint last_base = InPlace == 1 ? state_base : seq * push.state_stride + push.state_off;
    uint y_base = row * push.mixes * stride;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += Local) {
        float w = F(Params, push.norm_w + c), b = F(Params, push.norm_b + c);
        float now = (F(X, base + c) - m.x) * m.y * w + b;
        float prev;
        if (InPlace == 1) prev = last[last_base + c];
        else if (first) prev = F(State, state_base + c);
        else prev = (F(X, base - stride + c) - p.x) * p.y * w + b;
        for (uint i = 0; i < push.mixes; i++)
            y[y_base + i * stride + c] = now + (prev - now) * F(Params, push.mix + i * stride + c);
        if (final) last[last_base + c] = now;
    }
}
