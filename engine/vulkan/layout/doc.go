// Package layout brings weights to a device as kernels read them: padded, packed, with rows side by side in bands, and
// cut into slabs that one binding can hold. Each weight is loaded once, whatever the number of its pieces and of the
// ops that read it.
package layout
