#version 450
// op.WKV7 by chunks, what needs no state and so is done for all chunks of a pass at once: one workgroup per head and
// chunk. A column of the chunk's keys, and one of its values, is an invocation's own; lib/chunk.glsl has the formulas.
#extension GL_EXT_control_flow_attributes : require
#include "lib/batch.glsl"
#include "lib/chunk.glsl"
#include "lib/load.glsl"

layout(local_size_x = 128) in;
layout(constant_id = 0) const uint N = 64; // at most MAX_N

const float MIN_NORM = 1e-12; // as model/op has it
const uint MAX_N = 64, HALF = CHUNK / 2;
const uint N4 = N / 4, PITCH = MAX_N / 4 + 1; // of rows in shared memory: such that neighbouring rows begin in other banks

layout(push_constant) uniform Push {
    uint stride; // between tokens
    uint sequences;
    uint kk; // offsets into params
    uint ka;
} push;

layout(binding = 0) readonly buffer Spans { Span spans[]; };
FLOATS(1, R);
FLOATS(2, W);
FLOATS(3, K);
FLOATS(4, V);
FLOATS(5, A);
FLOATS(6, Params);
layout(binding = 7) writeonly buffer Chunks { float chunks[]; };

shared vec4 squares[2 * CHUNK];          // of a token's k*KK, 8 partial sums
shared vec4 rows[4 * CHUNK * 17];        // a_t P_(t-1), r_t P_t, b_t / P_t, key_t / P_t
shared vec4 products[2 * CHUNK * 8];     // of the first two with the last two, 4 columns together, columns first

uint sequence_of(uint chunk) {
    uint low = 0, high = push.sequences - 1;
    while (low < high) {
        uint middle = (low + high + 1) / 2;
        if (first_chunk(spans[middle].start, middle) <= chunk) low = middle;
        else high = middle - 1;
    }
    return low;
}

// The sum of x, and of v if values, times the products of a row: of a token, which no later one has a share in.
float met(uint row, bool values, vec4 x[4], vec4 v[4]) {
    float sum = 0.0;
    [[unroll]] for (uint s = 0; s < 4; s++) {
        if (4 * s <= row % CHUNK) {
            sum += dot(products[2 * CHUNK * s + row], x[s]);
            if (values) sum += dot(products[2 * CHUNK * (4 + s) + row], v[s]);
        }
    }
    return sum;
}

void main() {
    uint lane = gl_LocalInvocationID.x, head = gl_WorkGroupID.x, chunk = gl_WorkGroupID.y;
    uint sequence = sequence_of(chunk);
    Span span = spans[sequence];
    uint done = (chunk - first_chunk(span.start, sequence)) * CHUNK;
    if (done >= span.len) return; // fewer chunks than there might be
    uint n = min(span.len - done, CHUNK), column = head * N;
    uint from = (span.start + done) * push.stride + column;
    uint to = (chunk * gl_NumWorkGroups.x + head) * CHUNK_ROWS * N;

    {
        uint t = lane / 8;
        float sum = 0.0;
        for (uint j = lane % 8; j < N; j += 8) {
            float kk = F(K, from + min(t, n - 1) * push.stride + j) * F(Params, push.kk + column + j);
            sum += kk * kk;
        }
        squares[lane / 4][lane % 4] = sum;
    }
    barrier();

    // Each column of keys has two invocations, one for each half of the chunk. Tokens past the end change nothing:
    // their decay is 1 and their vectors are zeros. What is loaded is asked for at once.
    uint j = lane % MAX_N, half_of = lane / MAX_N, first = half_of * HALF;
    bool values = half_of == 1;
    vec4 v[4];
    if (j < N) {
        float scale = F(Params, push.kk + column + j), mix = F(Params, push.ka + column + j);
        float w[HALF], k[HALF], rate[HALF], r[HALF], others = 1.0;
        [[unroll]] for (uint i = 0; i < HALF; i++) {
            uint t = first + i, other = HALF - first + i, at = from + min(t, n - 1) * push.stride + j;
            w[i] = F(W, at);
            k[i] = F(K, at);
            rate[i] = F(A, at);
            r[i] = F(R, at);
            others *= other < n ? F(W, from + other * push.stride + j) : 1.0;
        }
        [[unroll]] for (uint t = 0; t < CHUNK; t++)
            v[t / 4][t % 4] = values && t < n ? F(V, from + t * push.stride + j) : 0.0;

        float p = values ? others : 1.0, b[HALF], key[HALF];
        [[unroll]] for (uint i = 0; i < HALF; i++) {
            uint t = first + i;
            float before = p, inside = t < n ? 1.0 : 0.0;
            p *= t < n ? w[i] : 1.0;
            float inv_p = inside / p;
            vec4 sq = squares[2 * t] + squares[2 * t + 1];
            float kk = k[i] * scale / max(sqrt(sq.x + sq.y + sq.z + sq.w), MIN_NORM);
            b[i] = kk * rate[i] * inv_p;
            key[i] = k[i] * (1.0 + (rate[i] - 1.0) * mix) * inv_p;
            rows[t * PITCH + j / 4][j % 4] = -kk * before * inside;
            rows[(CHUNK + t) * PITCH + j / 4][j % 4] = r[i] * p * inside;
            rows[(2 * CHUNK + t) * PITCH + j / 4][j % 4] = b[i];
            rows[(3 * CHUNK + t) * PITCH + j / 4][j % 4] = key[i];
        }
        if (!values) p *= others;
        [[unroll]] for (uint i = 0; i < HALF; i++) {
            chunks[to + (B_ROW + first + i) * N + j] = b[i] * p;
            chunks[to + (KEY_ROW + first + i) * N + j] = key[i] * p;
        }
        if (!values) chunks[to + P_ROW * N + j] = p;
    }
    barrier();

    {
        uint t = lane % CHUNK, g = lane / CHUNK;
        vec4 a = vec4(0.0), r = vec4(0.0);
        uint i = 0;
        do {
            vec4 x = rows[t * PITCH + i], q = rows[(CHUNK + t) * PITCH + i];
            [[unroll]] for (uint c = 0; c < 4; c++) {
                vec4 y = rows[(2 * CHUNK + 4 * g + c) * PITCH + i];
                a[c] += dot(x, y);
                r[c] += dot(q, y);
            }
        } while (++i < N4);
        [[unroll]] for (uint c = 0; c < 4; c++) {
            uint s = g % 4 * 4 + c;
            if (s >= t) a[c] = 0.0;
            if (s > t) r[c] = 0.0;
        }
        products[2 * CHUNK * g + t] = a;
        products[2 * CHUNK * g + CHUNK + t] = r;
    }
    barrier();

    // The first 64 invocations make x and q, the others y and z: alike but for what the sums begin with.
    if (j < N) {
        vec4 x[4];
        [[unroll]] for (uint i = 0; i < 4; i++) x[i] = vec4(0.0);
        [[unroll]] for (uint t = 0; t < CHUNK; t++) {
            x[t / 4][t % 4] = (values ? 0.0 : rows[t * PITCH + j / 4][j % 4]) + met(t, values, x, v);
            chunks[to + ((values ? Y_ROW : X_ROW) + t) * N + j] = x[t / 4][t % 4];
        }
        [[unroll]] for (uint t = 0; t < CHUNK; t++) {
            float sum = (values ? 0.0 : rows[(CHUNK + t) * PITCH + j / 4][j % 4]) + met(CHUNK + t, values, x, v);
            chunks[to + ((values ? Z_ROW : Q_ROW) + t) * N + j] = sum;
        }
    }
}
