#version 450
// op.WKV7 by chunks, what is left to do for one after the other: a workgroup takes ROWS rows of a head's state through
// the chunks of a sequence, of which wkv7_chunk.comp left as much as needs no state. What a chunk needs is loaded while
// the one before it is worked on. lib/chunk.glsl has the formulas; wkv7_norm.comp does the rest.
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/chunk.glsl"
#include "lib/load.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint N = 64; // at most MAX_N

const uint Local = 128, ROWS = 16, HALF = ROWS / 2, MAX_N = 64;
const uint N4 = N / 4, PITCH = MAX_N / 4 + 1; // of rows in shared memory: such that neighbouring rows begin in other banks
const uint PAIR = 2 * CHUNK * N4, SHARE = 2 * CHUNK * MAX_N / 4 / Local; // vec4 of two kinds of vectors, and a lane's of them

layout(push_constant) uniform Push {
    uint stride;       // between tokens
    uint state_stride; // between slots, in vec4
    uint heads;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
FLOATS(1, V);
VEC4S(2, Keys);
FLOATS(3, Values); // the same memory
ALIASED VEC4S(4, State);
ALIASED layout(binding = 5) writeonly buffer StateOut { vec4 state_out[]; };
layout(binding = 6) writeonly buffer Y { float y[]; };

shared vec4 queries[2 * CHUNK * 17]; // x and q of each token
shared vec4 updates[2 * CHUNK * 16]; // b and key of each token
shared vec4 state[ROWS * 17];
shared vec2 factors[2 * CHUNK * 8];  // u and v of each token, of rows i and i + HALF together

uint lane;

// Some neighbouring vectors of a chunk, a lane's share of them.
void load(out vec4 share[SHARE], uint at) {
    [[unroll]] for (uint i = 0; i < SHARE; i++) share[i] = V4(Keys, at + min(i * Local + lane, PAIR - 1));
}

void main() {
    lane = gl_LocalInvocationID.x;
    uint parts = (N + ROWS - 1) / ROWS, head = gl_WorkGroupID.x / parts, i0 = gl_WorkGroupID.x % parts * ROWS;
    Span span = spans[gl_WorkGroupID.y];
    if (span.len == 0) return;
    uint rows = min(N - i0, ROWS), column = head * N + i0;

    // An invocation's own: columns 4*j to 4*j+3 of rows i and i + HALF of the state, and token t's outputs of rows m
    // and m + HALF.
    uint i = lane / N4, j = lane % N4, t = lane / HALF, m = lane % HALF;
    bool low = i < min(rows, HALF), high = i < HALF && i + HALF < rows;
    uint state_at = span.slot * push.state_stride + (head * N + i0 + i) * N4 + j;
    if (i < HALF) {
        state[i * PITCH + j] = low ? V4(State, state_at) : vec4(0.0);
        state[(i + HALF) * PITCH + j] = high ? V4(State, state_at + HALF * N4) : vec4(0.0);
    }

    uint at = (first_chunk(span.start, gl_WorkGroupID.y) * push.heads + head) * CHUNK_ROWS * N4;
    uint step = push.heads * CHUNK_ROWS * N4, end = span.start + span.len;
    vec4 x[SHARE], b[SHARE];
    load(x, at);
    load(b, at + B_ROW * N4);
    uint first = span.start;
    do {
        [[unroll]] for (uint c = 0; c < SHARE; c++) {
            uint k = c * Local + lane;
            if (k < PAIR) queries[k / N4 * PITCH + k % N4] = x[c];
        }
        uint token = (first + t) * push.stride + column + m;
        bool here = first + t < end;
        vec2 v = vec2(here && m < rows ? F(V, token) : 0.0, here && m + HALF < rows ? F(V, token + HALF) : 0.0);
        uint value = 4 * at + t * N + i0 + min(m, rows - 1), second = m + HALF < rows ? HALF : 0;
        vec2 more_u = vec2(F(Values, value + Y_ROW * N), F(Values, value + Y_ROW * N + second));
        vec2 more_o = vec2(F(Values, value + Z_ROW * N), F(Values, value + Z_ROW * N + second));
        vec4 p = V4(Keys, at + P_ROW * N4 + j);
        uint next = first + CHUNK < end ? at + step : at;
        barrier(); // the state and the queries are there, and nobody reads the updates and factors of the last chunk

        [[unroll]] for (uint c = 0; c < SHARE; c++) {
            uint k = c * Local + lane;
            if (k < PAIR) updates[k] = b[c];
        }
        load(x, next);
        vec2 u = vec2(0.0), o = vec2(0.0);
        uint k = 0;
        do {
            vec4 s0 = state[m * PITCH + k], s1 = state[(m + HALF) * PITCH + k];
            vec4 xk = queries[t * PITCH + k], qk = queries[(CHUNK + t) * PITCH + k];
            u += vec2(dot(xk, s0), dot(xk, s1));
            o += vec2(dot(qk, s0), dot(qk, s1));
        } while (++k < N4);
        factors[t * HALF + m] = u + more_u;
        factors[(CHUNK + t) * HALF + m] = v;
        if (here && m < rows) y[token] = o.x + more_o.x;
        if (here && m + HALF < rows) y[token + HALF] = o.y + more_o.y;
        barrier(); // the updates and factors are there, and nobody reads the state and the queries

        load(b, next + B_ROW * N4);
        if (i < HALF) {
            vec4 s0 = state[i * PITCH + j] * p, s1 = state[(i + HALF) * PITCH + j] * p;
            [[unroll]] for (uint k = 0; k < 2 * CHUNK; k++) {
                vec4 d = updates[k * N4 + j];
                vec2 f = factors[k * HALF + i];
                s0 += f.x * d;
                s1 += f.y * d;
            }
            state[i * PITCH + j] = s0;
            state[(i + HALF) * PITCH + j] = s1;
        }
        at += step;
    } while ((first += CHUNK) < end);
    if (low) state_out[state_at] = state[i * PITCH + j];
    if (high) state_out[state_at + HALF * N4] = state[(i + HALF) * PITCH + j];
}
