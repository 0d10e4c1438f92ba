"""Build the corpus, the reduced vocabulary and the token files.

usage: prepare.py MIRROR_DIR WORLD_VOCAB OUT_DIR VOCAB_SIZE

MIRROR_DIR holds bare clones named owner+name; the sources are listed below and
described in SOURCES.md.
"""
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import unicodedata

import numpy as np

from tokenizer import Tokenizer, parse_line

STORIES = {  # repository -> (path, how documents are separated)
    "maxme1+tiny-stories": ("frontend/src/assets/tiny-stories.json", "json"),
    "mines-opt-ml+decoding-gpt": ("data/tinystories_10k.txt", "endoftext"),
    "s-ajaykumar+smallGPT": ("data/tiny_stories.txt", "newline"),
    "mattmegarry+tiny-stories-transformer": ("sentencepiece/TinyStories-1000.txt", "newline"),
    "yuninxia+moe-routing-bench": ("data/tinystories_val.txt", "opening"),
}
QUOTES = {"\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201c": '"', "\u201d": '"',
          "\u201e": '"', "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "--",
          "\u2026": "...", "\u00a0": " ", "\u00e6": "ae", "\u0153": "oe", "`": "'", "\u00b4": "'"}

# Names are exchanged within a group to make further variants of the few stories there are.
NAMES = [("Tim Tom Ben Max Sam Timmy Bob Jack Joe Billy John Tommy Benny Jimmy Leo Jake Andy Bobby Sammy "
          "Fred Peter Pete Danny Luke Noah Henry George Oscar Charlie Harry David Paul Adam Alex James").split(),
         ("Lily Sue Lucy Mia Anna Sara Amy Sally Daisy Jane Sarah Molly Emma Jen Jill Mary Bella Ella Jenny "
          "Lisa Emily Claire Susie Ann Polly Milly Lila Alice Ruby Clara Kate Nora Zoe Lola Helen Eva").split()]
VARIANTS = 6


def git(repo, *args):
    return subprocess.check_output(["git", "--git-dir", os.path.join(MIRROR, repo), *args])


def ascii_text(s):
    s = "".join(QUOTES.get(c, c) for c in s)
    s = unicodedata.normalize("NFKD", s).encode("ascii", "ignore").decode()
    return s.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")


def tidy(s):
    s = re.sub(r"''", '"', ascii_text(s))
    s = re.sub(r" +", " ", s)
    s = re.sub(r" *\n *", "\n", s)
    return re.sub(r"\n+", "\n\n", s).strip()


def stories():
    seen, out = set(), []
    for repo, (path, how) in STORIES.items():
        raw = git(repo, "show", "HEAD:" + path).decode("utf-8", "replace")
        if how == "json":
            docs = json.loads(raw)["texts"]
        elif how == "endoftext":
            docs = raw.split("<|endoftext|>")
        elif how == "newline":  # paragraphs have blank lines between, stories a bare newline
            docs = re.split(r"(?<!\n)\n(?!\n)", raw)
        else:  # no separators: cut where a story opens
            docs = re.split(r"\n\n(?=Once upon a time|One day,? (?:a|there|in)|There (?:was|once))", raw)[1:]
        kept = 0
        for d in docs:
            if "\ufffd" in d or "\u00e2" in d or "\u20ac" in d:  # mis-decoded text
                continue
            d = tidy(d)
            key = re.sub(r"[^a-z]", "", d.lower())[:120]
            if len(d) < 150 or key in seen or d[-1] not in '.!?"\'':
                continue
            seen.add(key)
            out.append(d)
            kept += len(d)
        print(f"{repo}: {kept} characters")
    return out


def renamed(doc, rng):
    change = {}
    for group in NAMES:
        present = [n for n in group if re.search(rf"\b{n}\b", doc)]
        change.update(zip(present, rng.sample(group, len(present))))
    if not change:
        return doc
    return re.sub(r"\b(" + "|".join(change) + r")\b", lambda m: change[m.group()], doc)


def book(repo):
    names = git(repo, "ls-tree", "--name-only", "HEAD").decode().split("\n")
    name = sorted(n for n in names if re.fullmatch(r"\d+(-0|-8)?\.txt", n))[0]
    raw = git(repo, "show", "HEAD:" + name)
    s = raw.decode("latin-1" if name.endswith("-8.txt") else "utf-8", "replace")
    s = s.replace("\ufeff", "").replace("\r\n", "\n")
    m = re.search(r"\*\*\* ?START OF TH.*?\*\*\*", s, re.S)
    s = s[m.end():] if m else s
    m = re.search(r"\n[^\n]*(\*\*\* ?END OF TH|End of (the )?Project Gutenberg|End of Project)", s, re.I)
    s = s[:m.start()] if m else s
    s = re.sub(r"\[(Illustration|Footnote|Picture|Frontispiece)[^\]]*\]", "", s, flags=re.I)
    s = re.sub(r"\[\d+\]|[_=]", "", s)
    docs, cur = [], []
    for par in re.split(r"\n\s*\n", ascii_text(s)):
        lines = [l for l in par.split("\n") if l.strip()]
        if not lines:
            continue
        text = re.sub(r"\s+", " ", " ".join(lines)).strip()
        heading = len(text) < 90 and (text.upper() == text and re.search("[A-Z]{3}", text)
                                      or re.match(r"(chapter|story|part|book) [ivxlc\d]+", text, re.I))
        verse = all(l.startswith("  ") for l in lines)
        if heading:
            docs.append(cur)
            cur = []
        elif not verse and re.search("[a-z]", text) and "Gutenberg" not in text and not re.match(
                r"(\* )+|transcrib|produced by|copyright|note:|\(\d+\)|contents|illustrat", text, re.I):
            cur.append(re.sub(r"''", '"', text))
    docs.append(cur)
    out = []
    for d in docs:
        prose = [p for p in d if len(p) > 25]
        ends = sum(p[-1] in '.!?"\':;,-)' for p in prose)
        if sum(map(len, prose)) > 700 and ends > 0.9 * len(prose):
            out.append("\n\n".join(d))
    return out


def main():
    os.makedirs(OUT, exist_ok=True)
    books, total = [], {}
    for repo in sorted(os.listdir(MIRROR)):
        if repo.startswith("GITenberg+"):
            docs = book(repo)
            total[repo] = sum(map(len, docs))
            books += docs
    print(f"books: {len(total)}, {sum(total.values())} characters; smallest:",
          sorted((v, k) for k, v in total.items())[:6])
    sets = {}
    for kind, docs, share in (("stories", stories(), 50), ("books", books, 80)):
        for d in docs:
            held = int(hashlib.sha1(d[:200].encode()).hexdigest(), 16) % share == 0
            sets.setdefault((kind, "valid" if held else "train"), []).append(d)

    # reduced vocabulary: single bytes, then World entries by use in the training text
    with open(WORLD, encoding="utf-8") as f:
        world = [parse_line(l.rstrip("\n")) for l in f]
    single, multi = world[:256], world[256:]
    assert [e[1] for e in single] == [bytes([i]) for i in range(256)]
    sample = "\n\0".join(sets["stories", "train"] * 3 + sets["books", "train"]).encode()
    want = VOCAB - 257
    multi = [e for e in multi if re.fullmatch(rb"[\x0a\x20-\x7e]+", e[1])]
    for size in (4 * want, 2 * want, want * 14 // 10, want * 115 // 100, want):
        ids = Tokenizer([(e[0], e[1]) for e in single + multi]).encode(sample)
        use = np.bincount(ids, minlength=70000)
        multi = sorted(sorted(multi, key=lambda e: -use[e[0]])[:size])
        print(f"vocabulary {len(multi) + 257}: {len(sample) / len(ids):.3f} bytes per token, "
              f"rarest used {min(use[e[0]] for e in multi)}")
    path = os.path.join(OUT, "vocab.txt")
    with open(path, "w", encoding="utf-8") as f:
        for i, (_, b, text) in enumerate(single + multi, 1):
            f.write(f"{i} {text} {len(b)}\n")
    tok = Tokenizer.load(path)
    for (kind, split), docs in sets.items():
        size = sum(map(len, docs))
        if (kind, split) == ("stories", "train"):
            rng = random.Random(1)
            docs = docs + [renamed(d, rng) for _ in range(VARIANTS - 1) for d in rng.sample(docs, len(docs))]
        ids = [np.concatenate([[0], tok.encode(d)]) for d in docs]
        for d, e in list(zip(docs, ids))[:20]:
            assert tok.decode(e) == d
        arr = np.concatenate(ids).astype(np.uint16)
        arr.tofile(os.path.join(OUT, f"{kind}.{split}.bin"))
        with open(os.path.join(OUT, f"{kind}.{split}.txt"), "w") as f:
            f.write("\n\n----\n\n".join(docs))
        print(f"{kind}.{split}: {len(docs)} documents, {size} bytes before variants, {len(arr)} tokens")
        with open(os.path.join(OUT, f"{kind}.{split}.json"), "w") as f:
            json.dump({"documents": len(docs), "bytes": size, "tokens": len(arr)}, f)


if __name__ == "__main__":
    MIRROR, WORLD, OUT, VOCAB = sys.argv[1:4] + [int(sys.argv[4])]
    main()
