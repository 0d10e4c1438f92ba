// How the recurrences for GPUs divide a head of N elements, N x N of state: a workgroup of N invocations has ROWS rows,
// and Split invocations, ROWS apart, share each row, C vec4 to one, so that they fit registers. Where rows do not fall
// into Split equal parts, the last has less than C, and what is handed round in shared memory ends in zeros.
layout(constant_id = 0) const uint N = 64;
layout(constant_id = 1) const uint Split = 1; // 1, 2, 4 or 8; divides N
layout(local_size_x_id = 0) in;

const uint N4 = N / 4, ROWS = N / Split, C = (N4 + Split - 1) / Split, PITCH = C * Split;
const bool ALL_COLUMNS = PITCH == N4;
const uint MAX_N = 256, MAX_N4 = 64; // see lib/reduce.glsl
#ifndef MAX_C
const uint MAX_C = 16;
#endif

shared float row_part[2 * MAX_N]; // what invocations that share a row have of its sum, by turns

uint head_of(uint group) { return group / Split; }
uint row_of(uint group, uint i) { return Split == 1 ? i : group % Split * ROWS + i % ROWS; }
uint part_of(uint i) { return Split == 1 ? 0 : i / ROWS; }
bool inside(uint part, uint j) { return ALL_COLUMNS || part * C + j < N4; }
uint column(uint part, uint j) { return min(part * C + j, N4 - 1); }

float row_sum(uint turn, uint i) {
    float sum = 0.0;
    [[unroll]] for (uint p = 0; p < Split; p++) sum += row_part[turn * N + p * ROWS + i % ROWS];
    return sum;
}
