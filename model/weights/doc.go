// Package weights reads RWKV model files: whatever the container and the names inside it, a File holds named tensors
// under BlinkDL's original names and in his orientation (blocks.0.att.w1 is [C, R], linear weights are [out, in]).
//
// Two independent questions are answered by looking at the file, never at its name:
//
//   - the format: how bytes become tensors. The table formats holds one line per container; a new one is a file that
//     supplies a function from bytes to raw tensors.
//   - the layout: what the tensors are called and which are stored transposed. The table layouts holds one value per
//     naming scheme.
//
// Nothing is read before it is needed. Open maps the file and checks its structure; Load on a tensor returns the
// mapped bytes themselves, or a fresh copy where the layout stores the tensor transposed. A tensor of a block type
// (tensor.BlockTypes) keeps its blocks, but is F32 where it had to be transposed. Model files come from
// strangers: every number in one is checked before use, and the memory spent on a file that turns out to be broken
// stays below 100 MiB whatever its header claims.
//
// A file may be cut or overwritten while it is mapped. Reads of mapped bytes go through Use, which turns the fault of a
// read beyond the new end into an error, and afterwards asks the file for its size and the time of its last write: if
// they are others than when it was mapped, what was read counts for nothing. A file of the same name that takes its
// place does no harm, as the old one lives on while it is mapped.
//
// # Layouts
//
// original: the names and shapes of the published checkpoints.
//
// web-rwkv: the .st files its converter writes. v4 and v5.0 are the same in both. In v5.1, v5.2 and v6 the renamed
// tensors give it away (time_mix_w1 for time_maa_w1, time_first beside a gate for time_faaaa). v7 keeps its names and
// only swaps the last two dimensions of w1 w2 a1 a2 v1 v2 g1 g2, so the shapes decide: with C from emb.weight, a first
// matrix is [C, R] originally and [R, C] in web-rwkv, a second one the other way round. Square matrices (R = C) say
// nothing and follow the rest of the file. If all are square, which no published model is, the file is taken for
// web-rwkv if every tensor is F16 and __metadata__ is exactly {"format": "pt"}, which is what that converter writes;
// File.Evidence then says that this was assumed. So is a safetensors file of nothing but initial states (time_state),
// all F16, of which web-rwkv has the transpose. A LoRA of web-rwkv has lora.0, which is lora_A transposed, and lora.1,
// which is lora_B.
//
// llama.cpp: what its converter writes for v6 and v7 (general.architecture is rwkv6 or rwkv7). Low-rank matrices are
// transposed, the mixes of a layer lie in one tensor (w k v r g in v6, r w k v a g in v7), r_k is a vector whose heads
// rwkv7.wkv.head_size tells, and the v0 v1 v2 of layer 0, which are copies of a0 a1 a2, are left out. See
// File.RescaleEvery for v6. Hybrids of RWKV and Qwen (arwkv7, rwkv6qwen2) are refused.
//
// rwkv.cpp: what its converter writes, one layout for its format. Mixes are unpacked and matrices turned back. What it
// computed from the original numbers and cannot be undone exactly (-exp(w), exp(-exp(w)), exp(u)) stays as it is
// stored: File.Functions names those tensors, and a model must apply the rest of its formula only. v5 files were made
// for a group norm epsilon of 1e-5, which nothing in them says.
//
// Before any layout is looked for, names lose what wrapping a model in modules left there: _orig_mod, _forward_module,
// module and the like, in any nesting (see unwrapped).
//
// Hugging Face fla, known by attn.r_proj: v7 with every low-rank pair as lora.0 and lora.2, transposed; the mixes of a
// layer may lie in one tensor x_x (r w k v a g), as they did in early 2025. Hugging Face rwkv-rs, known by
// linear_attn.r_k: v7 in the original orientation, dimensions of 1 left out. Hugging Face rwkv7, known by the prefixes
// rwkv7.blocks and model.blocks: the original names behind them, low-rank matrices perhaps as linear layers
// (w1.weight), transposed. Each of these may hold an embedding that went through ln0 already, and then has no ln0: see
// File.EmbeddingNormed. Hugging Face rwkv, known by rwkv.blocks and attention: v4, v5 and v6 in the original
// orientation under longer names.
//
// # PyTorch files
//
// A .pth file is a pickle, which Python would execute. Here it runs on a machine that can build dicts, lists, tuples,
// strings, numbers and views of the file's storages, and nothing else: any other opcode, and any name but those of
// torch's storages, its functions that rebuild a tensor, OrderedDict and a list of harmless classes (harmlessNames), is
// refused by name. Nothing is kept of what a harmless class would make. The state dict may lie in another dict (under
// state_dict, model, ...). Values in it that are no tensors, and single integers, are left out; tensors of types that
// are not read are File.Unread, as in safetensors and GGUF files. Zip files must be stored without compression, as
// torch.save writes them, so that tensors are the mapped bytes themselves; one whose elements do not lie in order is
// gathered at each Load. Tensors may share storages, but together hold at most four times the size of the file.
//
// # Directories
//
// Open takes a Hugging Face directory (config.json beside model.safetensors, or beside shards and their index), or the
// index.json or model file in one. The shards are one File; a tensor that lies elsewhere than the index says is an
// error. Strings, numbers and truth values of config.json stand in File.Meta as config.KEY.
//
// # What files state
//
// Sizes that a GGUF file or a config.json states are File.Claims, for the model to compare with its tensors. Epsilons
// of norms are File.Epsilons: llama.cpp's layer_norm_epsilon and transformers' are of the layer norms; fla's norm_eps
// is that, and multiplied by the size of a head the epsilon of the norm over heads, which transformers names
// group_norm_epsilon, or in the v5 and v6 directories gives as 1e-5 times the square of head_size_divisor. A head that
// is missing is the embedding where config.json has tie_word_embeddings.
package weights
