// Package synthetic makes RWKV-7 models of the published sizes from a seed, each tensor when it is asked for. They
// serve to measure speed and to try a device without a download. Their text is nonsense.
//
// The numbers have the scale of trained models, so that no state grows without bound. Matrices keep the variance of
// their input. Decays lie between those of a few and of some thousand tokens. A bias before the channel mix makes about
// four in five of its hidden values zero, as training does (81 to 88 % in the layers of the demo model). So code that
// skips them gains as much as on a trained model.
package synthetic
