// Package hub finds models by name, fetches them, and keeps them where other programs find them too.
//
// A Name stands for a model: "g1:2.9b" (of a family, the newest date wins), "hf:OWNER/REPO/FILE" or an address. A Hub
// asks a server for the files behind a name, by the protocol of Hugging Face's hub, and Pull fetches them with package
// fetch. They lie in a Cache, a folder in the layout of huggingface_hub:
//
//	models--OWNER--REPO/blobs/HASH               the bytes, under the hash that the hub tells
//	models--OWNER--REPO/snapshots/COMMIT/FILE    a link to the blob
//	models--OWNER--REPO/refs/main                the commit that a branch had
//	.locks/models--OWNER--REPO/HASH.lock         held by whoever fetches the blob
//
// So what huggingface_hub has fetched need not be fetched again, and the other way round. Unfinished files lie beside
// the blobs under names of their own (fetch.PartEnding): huggingface_hub would go on with a file of its own name at the
// end, but these have holes. A model is what a snapshot links to, and a model of several files has config.json and all
// shards there, so nothing unfinished is ever found by a name.
//
// Find looks a name up in the caches and asks no server.
package hub
