#version 450
// op.WKV4: one invocation per channel and sequence, which keeps the channel's state in registers from the sequence's
// first token to its last.
#include "lib/batch.glsl"
#include "lib/load.glsl"

layout(constant_id = 0) const uint Local = 64;
layout(local_size_x_id = 0) in;

layout(push_constant) uniform Push {
    uint width;
    uint stride; // between tokens, and between slots
    uint w;      // offsets into params
    uint u;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
FLOATS(1, R);
FLOATS(2, K);
FLOATS(3, V);
FLOATS(4, Params);
layout(binding = 5) buffer AA { float state_aa[]; };
layout(binding = 6) buffer BB { float state_bb[]; };
layout(binding = 7) buffer PP { float state_pp[]; };
layout(binding = 8) writeonly buffer Y { float y[]; };

// weight is exp(x) of an x that is at most 0, without asking a driver for exp of the -1e30 of an empty state.
float weight(float x) { return exp(max(x, -100.0)); }

void main() {
    uint c = gl_GlobalInvocationID.x;
    if (c >= push.width) return;
    Span span = spans[gl_WorkGroupID.y];
    if (span.len == 0) return; // it has ended within a submission of several steps
    uint slot = span.slot * push.stride + c;
    float w = F(Params, push.w + c), u = F(Params, push.u + c);
    float aa = state_aa[slot], bb = state_bb[slot], pp = state_pp[slot];
    uint t = span.start;
    do {
        uint at = t * push.stride + c;
        float k = F(K, at), v = F(V, at);

        float now = u + k, most = max(pp, now);
        float past = weight(pp - most), present = weight(now - most);
        y[at] = F(R, at) * (past * aa + present * v) / (past * bb + present);

        float decayed = pp + w;
        most = max(decayed, k);
        past = weight(decayed - most);
        present = weight(k - most);
        aa = past * aa + present * v;
        bb = past * bb + present;
        pp = most;
    } while (++t < span.start + span.len);
    state_aa[slot] = aa;
    state_bb[slot] = bb;
    state_pp[slot] = pp;
}
