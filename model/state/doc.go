// Package state keeps a sequence in a file: its state and all else that it needs to go on as if it had never stopped.
//
// A state file is safetensors. For each field of a slot's state it has a tensor state.FIELD, F32, of the field's shape
// stacked over the layers, such as state.att_x [L C] and state.att_kv [L H N N]. Annotations say the rest:
//
//	format       "rwkv-gpu state"
//	version      "2"
//	model        the version of RWKV
//	config_hash  of the sizes: states of models of the same sizes have the same form
//	model_id     model.Model.ID: of the weights, the epsilons and the LoRAs
//	norm_eps     the epsilon of the norms, which early files lack
//	group_norm_eps
//	             that of the group norm, if the model has one, which early files lack
//	layout       of a head's matrix: value-major, whose row i belongs to element i of the value and column j to element j
//	             of the key; key-major, the other way round; vectors, if there is no matrix
//	tokens       how many tokens were fed
//	pending      the id of a token that was drawn and not fed yet, if there is one
//	sampler      the sampler's counts in the sampler's own form, as base64, if there are any
//	sha256       of a line "KEY"="VALUE" for each other annotation, sorted, an empty line, and the tensors' bytes in the order of
//	             the model's fields
//
// Files of version 1 have no model_id, tokens, pending and sampler. Their sha256 is of the tensors alone. The state of
// a model with LoRAs has the annotation lora there, a hash of them. Such files can still be read.
package state
