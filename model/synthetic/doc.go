// Package synthetic makes RWKV-7 models of the published sizes out of nothing but a seed, tensor by tensor as they are
// asked for: for measuring speed, and for trying a device, without a download. They write nonsense.
//
// The numbers are of a scale that trained models have, so that no state grows without bound: matrices keep the variance
// of their input, decays lie between those of a few and of some thousand tokens, and a bias before the channel mix
// leaves about four in five of its hidden values at zero, as training does (75 to 84 % in the layers of the demo
// model), so that code which skips them gains what it would gain on a trained model.
package synthetic
