// The batch tables, as model/op.Batch has them.
struct Span {
    uint slot;
    uint start;
    uint len;
};
