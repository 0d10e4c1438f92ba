"""Add documents of questions to the turns: the first sentences of a story, and questions about them.

usage: quiz.py DATA_DIR ROUNDS OUT_DIR

Writes chat.train.bin, its mask and chat.train.json as turns.py wrote them in DATA_DIR, with the documents of questions
behind them.
"""
import json
import random
import sys

import numpy as np

import questions
import wordings as W
import words
from tokenizer import Tokenizer
from turns import LIMIT, SENTENCE, Story, encode, held_out

data, rounds, out = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tok, held = Tokenizer.load(f"{data}/vocab.txt"), held_out()
docs = open(f"{data}/stories.train.txt").read().split("\n\n----\n\n")
docs = docs[:len(docs) // 6]
words.learn_nouns(docs)
rng, ids, mask, count = random.Random(31), [], [], 0
show = open(f"{out}/quiz.sample.txt", "w")
for _ in range(rounds):
    for d in rng.sample(docs, len(docs)):
        parts = [p.strip() for p in SENTENCE.findall(d.replace("\n\n", " "))[:rng.randint(3, 9)]]
        text = " ".join(parts)
        if text.count('"') % 2 or len(text) < 80:
            continue
        s = Story(text, rng)
        asked = questions.ask(s, rng, rng.choice((1, 2, 2, 3)))
        if not asked or any(q.lower() in held for q, _ in asked):
            continue
        t = s.topic()
        ask = s.say(rng.choice(W.STORY), t) if t and rng.random() < 0.6 else s.say(rng.choice(W.ANY), "")
        if ask.lower() in held:
            continue
        turns = [(ask, s.text)] + asked
        i, m = encode(tok, turns, rng, True)
        if len(i) > LIMIT:
            continue
        ids += i
        mask += m
        count += 1
        if count < 200:
            show.write("".join(f"User: {q}\n\nAssistant: {a}\n\n" for q, a in turns) + "----\n\n")
a = np.fromfile(f"{data}/chat.train.bin", np.uint16)
b = np.fromfile(f"{data}/chat.train.mask.bin", np.uint8)
np.concatenate([a, np.array(ids, np.uint16)]).tofile(f"{out}/chat.train.bin")
np.concatenate([b, np.array(mask, np.uint8)]).tofile(f"{out}/chat.train.mask.bin")
info = json.load(open(f"{data}/chat.train.json"))
info["documents"] += count
info["tokens"] += len(ids)
info["learned"] += sum(w > 0 for w in mask)
json.dump(info, open(f"{out}/chat.train.json", "w"))
print(count, "documents", len(ids), "tokens behind", len(a))
