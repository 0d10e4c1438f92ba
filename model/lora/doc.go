// Package lora merges files of fine-tuning into a model's weights while they load: files of RWKV-PEFT and RWKV-LM-LoRA.
// W [out, in] is the weight NAME.weight of the model, and s is the scale. A file's tensors mean:
//
//	NAME.lora_A [r, in], NAME.lora_B [out, r]            W += s B A
//	NAME.init_lora_A, NAME.init_lora_B (PiSSA's start)   W -= s B A
//	NAME.disha [r, out] (Bone)                           W[o][i] += s D[i mod r][o]
//	NAME.disha [in/r, r, r] (Bat)                        W[a][b] += s (W[a][b] D[b] + D[b]), for each block of r x r
//	any other                                            replaces the model's tensor of that name, whatever the scale
//
// A model trained by PiSSA needs two files: the file of its start, then the trained one.
package lora
