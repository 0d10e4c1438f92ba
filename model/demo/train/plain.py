"""Write the stories of turns.py (names and nouns exchanged) as plain text: what the first weights are asked about.

usage: plain.py DATA_DIR ROUNDS     (run with train/ on the module path)

Writes plain.train.bin and plain.train.json.  The same sixth of the stories as turns.py uses; everything follows from
a fixed seed.
"""
import json
import random
import sys

import numpy as np

import words
from tokenizer import Tokenizer
from turns import Story

data, rounds = sys.argv[1], int(sys.argv[2])
tok = Tokenizer.load(f"{data}/vocab.txt")
docs = open(f"{data}/stories.train.txt").read().split("\n\n----\n\n")
docs = docs[:len(docs) // 6]
words.learn_nouns(docs)
rng, ids = random.Random(29), []
for _ in range(rounds):
    for d in rng.sample(docs, len(docs)):
        s = object.__new__(Story)
        s.rng = rng
        ids.append(0)
        ids.extend(int(i) for i in tok.encode(s._vary(d).strip()))
np.array(ids, np.uint16).tofile(f"{data}/plain.train.bin")
json.dump({"documents": ids.count(0), "tokens": len(ids)}, open(f"{data}/plain.train.json", "w"))
print("plain", len(ids), "tokens")
