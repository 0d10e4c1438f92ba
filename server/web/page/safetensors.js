// Reading of safetensors files: https://github.com/huggingface/safetensors, the section about the format.

const readers = {
  F32: (bytes) => new Float32Array(bytes.buffer, 0, bytes.length / 4),
  BF16: (bytes) => { // the upper half of an F32
    const halves = new Uint16Array(bytes.buffer, 0, bytes.length / 2);
    return new Float32Array(Uint32Array.from(halves, (h) => h << 16).buffer);
  },
};

// parse returns the tensors of a file by name, each {shape, values}, and its annotations.
export function parse(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true)), start = 8 + length;
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const tensors = {};
  for (const [name, tensor] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const {dtype, shape, data_offsets: [from, to]} = tensor, read = readers[dtype];
    if (!read) throw new Error(`${name}: want the type F32 or BF16, got ${dtype}`);
    tensors[name] = {shape, values: read(new Uint8Array(buffer.slice(start + from, start + to)))};
  }
  return {tensors, about: header.__metadata__ ?? {}};
}
