"""Writes bpe.json, a small tokenizer.json of the published one's form: added tokens, all bytes of UTF-8, and merges that
are learnt from a few words. Ids are in order: two added tokens, bytes, merges, added runs of blanks."""
import collections
import json
import pathlib

text = """the there therefore then this that it's we'll they've I'd I'm don't you're in on an and banana bananas aaaa aaaaaaaa
1 12 123 1234 2026 == ==== !== ... 中文 中中文文 é é è tiếng Việt привет мир 한국어 😀😀 x x y\t\ty\n\nz""" * 3
printable = [c for c in range(256) if 0x21 <= c <= 0x7e or 0xa1 <= c <= 0xac or c >= 0xae]
char = {c: chr(c) for c in printable}
char.update({c: chr(0x100 + i) for i, c in enumerate(c for c in range(256) if c not in char)})

words = collections.Counter()
for i, word in enumerate(text.split(" ")):
    words[tuple(char[b] for b in ((" " if i else "") + word).encode("utf-8"))] += 1
merges = []
while len(merges) < 150:
    pairs = collections.Counter()
    for word, n in words.items():
        for p in zip(word, word[1:]):
            pairs[p] += n
    best = min(pairs, key=lambda p: (-pairs[p], p), default=None)
    if best is None:
        break
    merges.append(best)
    joined = collections.Counter()
    for word, n in words.items():
        out = []
        for c in word:
            if out and (out[-1], c) == best:
                out[-1] += c
            else:
                out.append(c)
        joined[tuple(out)] += n
    words = joined

vocab = {"<|endoftext|>": 0, "<|padding|>": 1}
for c in range(256):
    if c < 0xc0 or 0xc2 <= c <= 0xf4:
        vocab[char[c]] = len(vocab)
for left, right in merges:
    vocab.setdefault(left + right, len(vocab))


def added(ident, content, special):
    return {"id": ident, "special": special, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": not special}


specials = [added(0, "<|endoftext|>", True), added(1, "<|padding|>", True)]
blanks = [added(len(vocab) + i, " " * (6 - i), False) for i in range(5)]
pathlib.Path(__file__).with_name("bpe.json").write_text(json.dumps({
    "version": "1.0", "truncation": None, "padding": None, "added_tokens": specials + blanks, "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
    "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
              "fuse_unk": False, "vocab": vocab, "merges": [" ".join(m) for m in merges]},
}, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
