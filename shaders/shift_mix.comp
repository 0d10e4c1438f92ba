#version 450
// op.ShiftMix: layer norm, token shift and all interpolations of it. One workgroup per row, which normalises the row
// before it again rather than wait for that row's workgroup: a second read from cache against a dispatch and a barrier.
#include "lib/load.glsl"
#include "lib/reduce.glsl"
#include "lib/batch.glsl"
#extension GL_EXT_control_flow_attributes : require

// 1: each sequence has one row, and Last and State are the same memory: the shift is committed at once.
layout(constant_id = 2) const uint InPlace = 0;
layout(constant_id = 3) const uint Whole = 0; // 1: width is a multiple of 4

layout(push_constant) uniform Push {
    uint width;
    uint mixes;
    uint norm_w;     // offsets into params, in vec4
    uint norm_b;
    uint mix;        // the first of the coefficient vectors, which lie one behind the other
    uint state_off;  // of this shift in a slot's vector and in a sequence's
    uint state_stride;
    float eps;
} push;

layout(binding = 0) readonly buffer RowSeq { uint row_seq[]; };
layout(binding = 1) readonly buffer Spans { Span spans[]; };
VEC4S(2, X);
VEC4S(3, Params);
ALIASED VEC4S(4, State);
ALIASED layout(binding = 5) buffer Last { float last[]; };
layout(binding = 6) writeonly buffer Y { float y[]; };

// inside returns 1 for the elements 4*c .. 4*c+3 of a row that are none of its padding.
vec4 inside(uint c) {
    if (Whole == 1) return vec4(1.0);
    return vec4(lessThan(4 * c + uvec4(0, 1, 2, 3), uvec4(push.width)));
}

// moments returns (mean, 1/sqrt(var + eps)) of the row that begins at base, in vec4.
vec2 moments(uint base) {
    float sum = 0.0;
    for (uint c = gl_LocalInvocationID.x; 4 * c < push.width; c += Local) sum += dot(V4(X, base + c), inside(c));
    float mean = workgroup_sum(sum) / float(push.width);
    float sq = 0.0;
    for (uint c = gl_LocalInvocationID.x; 4 * c < push.width; c += Local) {
        vec4 d = (V4(X, base + c) - mean) * inside(c);
        sq += dot(d, d);
    }
    return vec2(mean, inversesqrt(workgroup_sum(sq) / float(push.width) + push.eps));
}

void main() {
    uint row = gl_WorkGroupID.x;
    uint seq = row_seq[row];
    Span span = spans[seq];
    uint stride = (push.width + 7) / 8 * 2; // in vec4, as all but indices of single elements
    uint base = row * stride;
    bool first = InPlace == 1 || row == span.start;
    bool final = row == span.start + span.len - 1; // not of a sequence that has ended within a submission

    vec2 m = moments(base);
    vec2 p = vec2(0.0);
    if (!first) p = moments(base - stride);
    uint state_base = (span.slot * push.state_stride + push.state_off) / 4;
    uint last_base = InPlace == 1 ? 4 * state_base : seq * push.state_stride + push.state_off;
    uint y_base = 4 * row * push.mixes * stride;
    for (uint c = gl_LocalInvocationID.x; 4 * c < push.width; c += Local) {
        vec4 w = V4(Params, push.norm_w + c), b = V4(Params, push.norm_b + c);
        vec4 now = (V4(X, base + c) - m.x) * m.y * w + b;
        uint most = Whole == 1 ? 4 : min(4, push.width - 4 * c), at = last_base + 4 * c;
        vec4 prev;
        if (InPlace == 1) prev = vec4(last[at], last[at + 1], last[at + 2], last[at + 3]);
        else if (first) prev = V4(State, state_base + c);
        else prev = (V4(X, base - stride + c) - p.x) * p.y * w + b;
        for (uint i = 0; i < push.mixes; i++) {
            vec4 mixed = now + (prev - now) * V4(Params, push.mix + i * stride + c);
            [[unroll]] for (uint j = 0; j < 4; j++)
                if (j < most) y[y_base + 4 * (i * stride + c) + j] = mixed[j];
        }
        if (final)
            [[unroll]] for (uint j = 0; j < 4; j++)
                if (j < most) last[at + j] = now[j];
    }
}
