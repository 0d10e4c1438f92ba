// Package tokenizer turns text into token ids and back.
//
// A [Tokenizer] works on bytes: text need not be valid UTF-8, and for [World] and [Bytes] decoding what was encoded
// gives the same bytes again. [Stream] turns ids that arrive one at a time into text that is valid UTF-8 at every step.
//
// Id 0 is the end of a document (also the BOS and EOS of RWKV models). It is in no World vocabulary, stands for no
// bytes there and is never produced by encoding; for [BPE] it is the added token "<|endoftext|>".
//
// # World vocabulary files
//
// One token a line, in any order of ids:
//
//	ID LITERAL LENGTH
//
// ID is a decimal number from 1 to [MaxID]. LITERAL is a Python str ('…' or "…", meaning its UTF-8 form) or, for tokens
// that are not valid UTF-8, a Python bytes literal (b'…' or b"…"), with the escapes that repr writes:
// \\ \' \" \n \r \t \xNN, and in a str \uNNNN \UNNNNNNNN. LENGTH is the number of bytes of the token.
// A list need not have all 256 tokens of one byte: a text that it cannot spell is then a [TextError].
//
// The same vocabulary in two other forms: a JSON object {"ID": TOKEN} with a string or a list of bytes for TOKEN, which
// web-rwkv reads; and a literal a line without ID and LENGTH, the first of which has id 0 and is b'<s>', which the
// tokenizers of Hugging Face's RWKV-5 models read. A byte order mark, and blank lines at the end, are no part of a
// file.
//
// Encoding takes, at each position, the longest token that matches: rwkv_tokenizer.py of BlinkDL's rwkv package is the
// specification. There are no merges and no special tokens.
//
// # tokenizer.json
//
// A file of Hugging Face's tokenizers with a byte-level BPE model, as 20B_tokenizer.json is: see [ParseBPE].
package tokenizer
