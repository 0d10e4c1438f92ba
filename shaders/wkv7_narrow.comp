#version 450
// op.WKV7, the recurrence, for heads of 64 where four lanes are emulated by a compiler as simple as matmul_narrow.comp
// says: wkv7_shared.comp with literals for all sizes, so that the state is values and no array to search, and with
// workgroups of four lanes, for whose sums swaps within a quad do. Texels of 16 bytes are a single load there, but few
// can be bound at once. STEP is the form for passes of one token of each sequence: it need not hold the state.
// wkv7_norm.comp does the rest.
#extension GL_KHR_shader_subgroup_ballot : require
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/load.glsl"
#include "lib/quad.glsl"

layout(local_size_x = 4) in;

const float MIN_NORM = 1e-12; // as model/op has it

layout(push_constant) uniform Push {
    uint stride;       // between tokens, in vec4
    uint state_stride; // between slots, in vec4
    uint kk;           // offsets into params, in vec4
    uint ka;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
VEC4S(1, R);
VEC4S(2, W);
VEC4S(3, K);
layout(binding = 4) readonly buffer V { float v[]; };
VEC4S(5, A);
layout(binding = 6) readonly buffer Params { vec4 params[]; };
ALIASED VEC4S(7, State);
ALIASED layout(binding = 8) writeonly buffer StateOut { vec4 state_out[]; };
layout(binding = 9) writeonly buffer Y { float y[]; };

const uint N = 64, LANES = 4, C = N / 4 / LANES; // vec4 of a row that a lane has, LANES apart
#ifdef STEP
const uint ROWS = 16;
#else
// With more rows each load serves more arithmetic. 16 rows were up to a fifth faster, but took more than twice as long
// to compile.
const uint ROWS = 8;
#endif
const uint PARTS = N / ROWS; // workgroups of a head

struct Token {
    vec4 a[C], b[C], key[C], w[C], r[C];
};

Token token(uint at, vec4 mix_k[C], vec4 mix_a[C]) {
    Token x;
    float sq = 0.0;
    [[unroll]] for (uint c = 0; c < C; c++) {
        vec4 k = V4(K, at + LANES * c);
        x.b[c] = V4(A, at + LANES * c);
        x.a[c] = k * mix_k[c];
        x.key[c] = k * (1.0 + (x.b[c] - 1.0) * mix_a[c]);
        x.w[c] = V4(W, at + LANES * c);
        x.r[c] = V4(R, at + LANES * c);
        sq += dot(x.a[c], x.a[c]);
    }
    float inv = 1.0 / max(sqrt(quad_sum(sq)), MIN_NORM);
    [[unroll]] for (uint c = 0; c < C; c++) {
        x.a[c] *= inv;
        x.b[c] *= x.a[c];
    }
    return x;
}

// Takes a row of the state past a token, and returns its result to all lanes.
float advance(inout vec4 s[C], Token x, float value) {
    float sa = 0.0, dots = 0.0;
    [[unroll]] for (uint c = 0; c < C; c++) sa -= dot(s[c], x.a[c]);
    sa = quad_sum(sa);
    [[unroll]] for (uint c = 0; c < C; c++) {
        s[c] = s[c] * x.w[c] + sa * x.b[c] + value * x.key[c];
        dots += dot(s[c], x.r[c]);
    }
    return quad_sum(dots);
}

// Takes as many rows as there are lanes past a token. Their values and results lie at mine, each in its lane.
void advance_rows(inout vec4 s[LANES][C], Token x, uint mine) {
    float value = v[mine], o = 0.0;
    float each[LANES] = {subgroupBroadcast(value, 0), subgroupBroadcast(value, 1),
                         subgroupBroadcast(value, 2), subgroupBroadcast(value, 3)};
    [[unroll]] for (uint i = 0; i < LANES; i++) {
        float dots = advance(s[i], x, each[i]);
        o = gl_SubgroupInvocationID == i ? dots : o;
    }
    y[mine] = o;
}

void main() {
    uint lane = gl_SubgroupInvocationID, head = gl_WorkGroupID.x / PARTS, first = gl_WorkGroupID.x % PARTS * ROWS;
    Span span = spans[gl_WorkGroupID.y];
    uint column = head * (N / 4) + lane, mine = head * N + first + lane;
    uint state_at = span.slot * push.state_stride + (head * N + first) * (N / 4) + lane;
    vec4 mix_k[C], mix_a[C];
    [[unroll]] for (uint c = 0; c < C; c++) {
        mix_k[c] = params[push.kk + column + LANES * c];
        mix_a[c] = params[push.ka + column + LANES * c];
    }

#ifdef STEP
    if (span.len == 0) return; // it has ended within a submission of several steps
    Token x = token(span.start * push.stride + column, mix_k, mix_a);
    mine += 4 * span.start * push.stride;
    [[dont_unroll]] for (uint i = 0; i < ROWS; i += LANES) {
        uint at = state_at + i * (N / 4);
        vec4 s[LANES][C];
        [[unroll]] for (uint j = 0; j < LANES * C; j++) s[j / C][j % C] = V4(State, at + LANES * j);
        advance_rows(s, x, mine + i);
        [[unroll]] for (uint j = 0; j < LANES * C; j++) state_out[at + LANES * j] = s[j / C][j % C];
    }
#else
    vec4 s[ROWS / LANES][LANES][C];
    [[unroll]] for (uint j = 0; j < ROWS * C; j++) s[j / (LANES * C)][j / C % LANES][j % C] = V4(State, state_at + LANES * j);
    for (uint t = span.start; t < span.start + span.len; t++) {
        Token x = token(t * push.stride + column, mix_k, mix_a);
        [[unroll]] for (uint i = 0; i < ROWS / LANES; i++) advance_rows(s[i], x, 4 * t * push.stride + mine + LANES * i);
    }
    [[unroll]] for (uint j = 0; j < ROWS * C; j++) state_out[state_at + LANES * j] = s[j / (LANES * C)][j / C % LANES][j % C];
#endif
}
