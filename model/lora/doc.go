// Package lora merges what fine-tuning wrote beside a model into the model's weights while they load: files of
// RWKV-PEFT and RWKV-LM-LoRA. With W [out, in] the weight NAME.weight of the model and s the scale, a file's tensors
// say:
//
//	NAME.lora_A [r, in], NAME.lora_B [out, r]            W += s B A
//	NAME.init_lora_A, NAME.init_lora_B (PiSSA's start)   W -= s B A
//	NAME.disha [r, out] (Bone)                           W[o][i] += s D[i mod r][o]
//	NAME.disha [in/r, r, r] (Bat)                        W[a][b] += s (W[a][b] D[b] + D[b]), for each block of r x r
//	any other                                            replaces the model's tensor of that name, whatever the scale
//
// A model trained by PiSSA takes two: the file of its start, then the trained one.
package lora
