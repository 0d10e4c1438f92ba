"""Writes small.txt, small.json and decode.json, with CPython as the reference for literals and for UTF-8.

small.txt    a World vocabulary, its literals written by repr
small.json   the tokens of small.txt, id -> hexadecimal bytes, and ids of texts by a naive longest match
decode.json  for each lead byte, the SHA-256 of the replaced text of all sequences of up to four bytes over an alphabet
             that has both ends of every range of Unicode table 3-7; the texts are joined with a line break after each
"""
import hashlib
import itertools
import json
import pathlib

here = pathlib.Path(__file__).parent

words = ["'", '"', "'\"", "it's", 'say "x"', "\\", "\\n", "\\\\", "\n\n", "\r\n", "\t\t", " \t", "\x00\x01", "\x7f\x80",
         "\x85", "\xa0", "\xad", "é", "e\u0301", "\u0301", "\u2028", "\u200b", "\ufeff", "\ufffd", "\ufffe", "\ue000",
         "中", "中文", "😀", "😀😀", "\U000e0001", "\U0010ffff", "한", "क्ष", "שלום", "a b", "ab", "abc", "abcd", "abd",
         "abcdefgh", "abcdefgh\x00", "abcdefgi", " the", " there", " therefore", " " * 16, "=" * 128, "th", "the", "x1 'a' 1"]
raw = [b"\xff\xfe", b"\xe4\xb8", b"\xf0\x9f", b"\xf0\x9f\x98", b"'\xff", b"\"\xff", b"'\"\xff", b"\\\xff\n\r\t\x00", b" \xc3"]


def literal(token):
    try:
        return repr(token.decode("utf-8"))
    except UnicodeDecodeError:
        return repr(token)


tokens = {}
for token in [bytes([i]) for i in range(256)] + [w.encode("utf-8") for w in words] + raw:
    if token not in tokens.values():
        tokens[len(tokens) + 1 if len(tokens) < 256 else 2 * len(tokens)] = token  # ids with gaps
with open(here / "small.txt", "w", encoding="utf-8", newline="\n") as f:
    for i, token in tokens.items():
        f.write(f"{i} {literal(token)} {len(token)}\n")

ids = {token: i for i, token in tokens.items()}


def encode(text):
    out = []
    while text:
        token = max((t for t in ids if text.startswith(t)), key=len)
        out.append(ids[token])
        text = text[len(token):]
    return out


texts = ["", "abcdefghabcdefg", "therefore the there", " therefor", "中文中😀😀😀", "a" + " " * 40 + "b", "=" * 300,
         "\x00\x00\x01", "\r\n\n\n\r", "it's \"said\" \\\\n", "क्षक्", "\ufeffe\u0301\u0301"]
cases = [t.encode("utf-8") for t in texts] + [b"\xf0\x9f\x98\xf0\x9f\x98\x80", bytes(range(256)), bytes(range(255, -1, -1))]
with open(here / "small.json", "w", encoding="ascii", newline="\n") as f:
    json.dump({"tokens": {i: t.hex() for i, t in tokens.items()},
               "cases": [{"text": c.hex(), "ids": encode(c)} for c in cases]}, f, separators=(",", ":"))
    f.write("\n")

alphabet = bytes.fromhex("00417f80818f909fa0bfc0c1c2dfe0e1ecedeeeff0f1f3f4f5ff")
digests = {}
for lead in alphabet:
    h = hashlib.sha256()
    for n in range(4):
        for tail in itertools.product(alphabet, repeat=n):
            h.update((bytes([lead]) + bytes(tail)).decode("utf-8", errors="replace").encode("utf-8") + b"\n")
    digests[f"{lead:02x}"] = h.hexdigest()
with open(here / "decode.json", "w", encoding="ascii", newline="\n") as f:
    json.dump({"alphabet": alphabet.hex(), "sha256": digests}, f, indent=1)
    f.write("\n")
