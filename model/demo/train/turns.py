"""Put stories into turns of the G1 prompt format: requests, stories that hold what was asked, and follow-ups.

usage: turns.py DATA_DIR ROUNDS

Reads stories.train.txt and stories.valid.txt as prepare.py writes them (the originals only, not the
variants) and vocab.txt, and writes chat.train.bin, chat.valid.bin (token files), and for each a .mask.bin with one
byte per token, its weight in training: 0 for the user's words, 1 for answers and what ends them, STRESS where an answer
first has a noun or name of the request.
Each story is used ROUNDS times, each time with other names, other nouns and other turns.  Everything
follows from fixed seeds.
"""
import json
import os
import random
import re
import sys

import numpy as np

import questions
import wordings as W
import words
from prepare import NAMES, renamed
from tokenizer import Tokenizer

OPENINGS = 0.6  # share of documents that are a request and the opening of a story alone
STRESS = 5  # weight of what was asked for
NAME = re.compile(r"\b(?:about|with|named|called|and|,) ([A-Z][a-z]+)\b")
LIMIT = 500  # tokens of a document; a training window has 512
HAPPY = re.compile(r"\b(happy|happily|smiled|laughed|hugged|proud|loved|fun|friends|glad|thanked|enjoyed|safe)\b")
SAD = re.compile(r"\b(sad|cried|crying|never|lost|alone|scared|hurt|gone|broken|broke|died|tears|sick)\b")
SENTENCE = re.compile(r'[^.!?]+[.!?]+["\']?')


class Story:
    def __init__(self, text, rng):
        self.rng = rng
        self.text = self._vary(text)
        self.nouns = words.nouns_in(self.text)
        self.sentences = [s.strip() for s in SENTENCE.findall(self.text.replace("\n\n", " "))]
        m = re.search(r"\ban? ((?:\w+ ){0,3}?)([a-z]+),? (?:named|called|whose name was) ([A-Z][a-z]+)", self.text)
        self.kind, self.name = (m.group(2), m.group(3)) if m else ("", "")
        if not m:
            counts = [(len(re.findall(rf"\b{n}\b", self.text)), n) for g in NAMES for n in g]
            self.name = max(counts)[1] if max(counts)[0] > 1 else ""
        tail = self.text[-260:]
        self.mood = len(HAPPY.findall(tail)) - 2 * len(SAD.findall(tail))
        he, she = (len(re.findall(rf"\b{p}\b", self.text, re.I)) for p in ("he|his|him", "she|her"))
        self.pronoun = ("he", "his") if he > she else ("she", "her") if she else ("it", "its")
        who = [n for n in self.nouns if n in words.ANIMALS or n in words.PEOPLE]
        self.hero = self.name or ("the " + who[0] if who else "")

    def _vary(self, text):
        """Other names always, other nouns often, so that the request alone tells which ones."""
        rng = self.rng
        text = renamed(text, rng)
        here = words.nouns_in(text)
        for n in list(here):
            if n in words.KIND and n not in words.KEPT and rng.random() < 0.6:
                new = rng.choice(words.KIND[n])
                if new not in here and new not in words.MASS and f"{new} " not in text:
                    text = words.exchange(text, n, new)
                    here[new] = here.pop(n)
        return text

    def phrase(self, noun):
        rng = self.rng
        m = re.search(rf"\b({'|'.join(words.COLOURS + words.SIZES)}) {noun}\b", self.text)
        many = not re.search(rf"\b{noun}\b", self.text, re.I)
        if noun in words.MASS:
            return noun
        if many:
            return words.plural(noun)
        adj = m.group(1) + " " if m and rng.random() < 0.4 else ""
        r = rng.random()
        return adj + noun if r < 0.04 else "the " + adj + noun if r < 0.12 else words.article(adj + noun)

    def topic(self, text=None):
        """What a request may ask for: nouns and names that the story holds, mostly early ones."""
        rng, text = self.rng, text or self.text
        nouns = {n: at for n, at in words.nouns_in(text).items()}
        weight = {n: (6 if at < 160 else 2.5 if at < 300 else 0.4) * (1.6 if len(re.findall(rf"\b{n}", text)) > 1 else 1)
                  / (words.USE.get(n, 0) + 5) ** 0.5 for n, at in nouns.items()}
        picked = []
        for _ in range(rng.choices((1, 2, 3), (50, 42, 8))[0]):
            left = [n for n in weight if n not in picked]
            if left:
                picked.append(rng.choices(left, [weight[n] for n in left])[0])
        named = self.name and self.name in text and rng.random() < (0.22 if picked else 1)
        parts = [self.phrase(n) for n in picked]
        if named:
            adj = rng.choice(["", "", "little "])
            own = self.name
            if self.kind and rng.random() < 0.65:
                own = words.article(adj + self.kind) + rng.choice([" named ", " called "]) + self.name
                parts = [p for p, n in zip(parts, picked) if n != self.kind]
            parts = [own] + parts[:rng.choice((0, 1, 1, 2))]
        elif len(parts) == 2 and picked[1] in words.PLACES and rng.random() < 0.5:
            return f"{parts[0]} {rng.choice(['in', 'in', 'at', 'near'])} {parts[1]}"
        if not parts:
            return ""
        joint = rng.choice([" and "] * 8 + [" with "] * 2 + [", "]) if len(parts) == 2 else " and "
        return ", ".join(parts[:-1]) + joint + parts[-1] if len(parts) > 1 else parts[0]

    def request(self):
        """-> (request, answer)"""
        rng, size = self.rng, len(self.text)
        t, r = self.topic(), rng.random()
        groups = [(W.STORY, 10)]
        groups += [(W.SHORT, 6)] if size < 620 else []
        groups += [(W.LONG, 3)] if size > 950 else []
        groups += [(W.HAPPY, 2)] if self.mood > 1 else [(W.SAD, 12)] if self.mood < -1 else []
        if r < 0.04 or not t:
            return self.say(rng.choice(W.ANY), ""), self.text
        if r < 0.08:
            at = self.text.find(self.sentences[0]) + len(self.sentences[0])
            if at < size - 100:
                return self.sentences[0], self.text[at:].strip()
        if r < 0.26 and self.shorter():
            return self.say(rng.choice(W.SHORT), self.topic(self.shorter()) or "a day"), self.shorter()
        if r < 0.45:
            one = [s for s in self.sentences if 40 < len(s) < 190 and '"' not in s and words.nouns_in(s)
                   and re.match(r"(Once|One|There|A |An |The |[A-Z][a-z]+ (was|had|went|saw|found|loved|liked))", s)]
            if one:
                s = rng.choice(one)
                return self.say(rng.choice(W.ONE), self.topic(s)), s
        wording = rng.choice(rng.choices([g for g, _ in groups], [w for _, w in groups])[0])
        return self.say(wording, t), self.text

    def say(self, wording, t):
        s = wording.format(t=t)
        r = self.rng.random()
        return s.lower() if r < 0.06 else s.rstrip(".?!") if r < 0.12 else s

    def shorter(self):
        s = self.sentences
        mid = [x for x in s[1:-1] if re.match(r"(One day|But|Then|Suddenly|When)", x) and '"' not in x and len(x) < 160]
        parts = [s[0]] + mid[:1 + (len(s) > 14)] + [s[-1]]
        out = " ".join(parts)
        return out if len(out) < 0.6 * len(self.text) and len(s) > 5 and s[-1].count('"') != 1 else ""

    def ending(self):
        """-> (request, another ending)"""
        rng = self.rng
        happy = rng.random() < 0.5
        ask = rng.choice(W.ENDING if rng.random() < 0.5 else W.ENDING_HAPPY if happy else W.ENDING_SAD)
        if ask in W.ENDING:
            happy = self.mood < 0
        things = [n for n in self.nouns if n in words.THINGS or n in words.FOODS]
        ends = [e for e in (W.HAPPY_ENDS if happy else W.SAD_ENDS) if things or "{th}" not in e]
        w = self.hero
        th = "the " + rng.choice(things) if things else ""
        return self.say(ask, ""), rng.choice(ends).format(w=w, W=w[:1].upper() + w[1:], th=th)


def talk(rng):
    q, a = rng.choice(W.TALK)
    q = rng.choice(q)
    return (q.lower() if rng.random() < 0.15 else q), rng.choice(a)


def document(text, other, rng):
    """-> [(request, answer)]"""
    s, kind = Story(text, rng), rng.random()
    ask, answer = s.request()
    turns = [(ask, answer)]
    if kind < 0.06:  # talk alone
        return [talk(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    if kind < 0.11:  # talk, then a story
        return [talk(rng)] + turns
    if kind < 0.19:  # a story in two parts
        paragraphs = answer.split("\n\n")
        if len(paragraphs) > 1:
            cut = rng.randrange(1, len(paragraphs))
            return [(ask, "\n\n".join(paragraphs[:cut])), (s.say(rng.choice(W.GO_ON), ""), "\n\n".join(paragraphs[cut:]))]
    if kind < 0.25 and s.shorter():
        turns.append((s.say(rng.choice(W.SHORTER), ""), s.shorter()))
    elif kind < 0.31 and s.hero:
        turns.append(s.ending())
    elif kind < 0.50:
        turns += questions.ask(s, rng, rng.choice((1, 2, 2, 3)))
    elif kind < 0.54:
        o = Story(other, rng)
        turns.append((o.say(rng.choice(W.ANOTHER), o.topic() or "a dog"), o.text))
    if rng.random() < 0.06:
        turns.append(talk(rng))
    return turns


def opening(text, rng):
    """-> a request and the opening of its story: where it matters the most what was asked for"""
    s = Story(text, rng)
    first = s.text.split("\n\n")[0]
    part = SENTENCE.findall(first)[:rng.choice((1, 2, 3, 4))]
    part = "".join(part).strip()
    t = s.topic(part) if len(part) > 30 else ""
    if not t:
        return None
    size = len(s.text)
    return [(s.say(rng.choice(W.SHORT if size < 620 and rng.random() < 0.2 else W.STORY), t), part)]


def stressed(tok, ids, ask, answer):
    """-> weights of an answer's tokens: STRESS where a noun or name of the request stands for the first time"""
    weights = [2 if len(ids) < 30 else 1] * len(ids)  # answers in a sentence are few among stories
    ends = np.cumsum([len(tok.bytes[int(i)]) for i in ids])
    asked = {f for n in words.nouns_in(ask) for f in words.FORMS[n]} | {n.lower() for n in NAME.findall(ask)}
    for w in asked:
        m = re.search(rf"\b{w}\b", answer, re.I)
        if m:
            a, b = np.searchsorted(ends, [m.start() - 1, m.end() - 1], side="right")
            weights[a:b + 1] = [STRESS] * (b + 1 - a)
    return weights


def encode(tok, turns, rng, cut=False):
    """-> (ids, mask), encoded by the parts that the engine encodes by themselves

    With cut, the first answer has no end to be learned.
    """
    ids, mask = [0], [1]

    def add(text, learn):
        e = tok.encode(text)
        ids.extend(e)
        mask.extend([learn] * len(e))
        return e
    if rng.random() < 0.06:
        add("System:", 0)
        add(" " + rng.choice(W.SYSTEM), 0)
        add("\n\n", 0)
    flat = len(turns) > 1 and rng.random() < 0.3  # a history as clients send it: no blank lines in it
    for i, (ask, answer) in enumerate(turns):
        last = i + 1 == len(turns)
        add("User:", int(i > cut))
        add(" " + ask, 0)
        add("\n\n", 0)
        add("Assistant:", 0)
        learn = not (flat and not last)
        e = add(" " + (answer if learn else answer.replace("\n\n", "\n")), int(learn))
        if learn:
            mask[len(mask) - len(e):] = stressed(tok, e, ask, " " + answer)
        if not last:
            add("\n\n", int(i >= cut))
    return ids, mask


def held_out():
    """-> the held-out requests that ask for a story or talk; those about a story told have a held-out story instead"""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../testdata/requests.jsonl")) as f:
        return {r["messages"][0][1].lower() for r in map(json.loads, f) if len(r["messages"]) == 1}


def main():
    data, rounds = sys.argv[1], int(sys.argv[2])
    held = held_out()
    tok = Tokenizer.load(f"{data}/vocab.txt")
    for split, times in (("train", rounds), ("valid", 2)):
        docs = open(f"{data}/stories.{split}.txt").read().split("\n\n----\n\n")
        if split == "train":
            docs = docs[:len(docs) // 6]
            words.learn_nouns(docs)
            print(len(words.SINGULAR), "forms of nouns")
        rng, ids, mask, count, whole = random.Random(13), [], [], 0, 1
        show = open(f"{data}/chat.{split}.sample.txt", "w")
        for _ in range(times):
            for d, o in zip(rng.sample(docs, len(docs)), rng.sample(docs, len(docs))):
                cut = opening(d, rng) if rng.random() < OPENINGS else None
                turns = cut or document(d, o, rng)
                if any(q.lower() in held for q, _ in turns):
                    continue
                i, m = encode(tok, turns, rng)
                while len(turns) > 1 and len(i) > LIMIT:
                    turns = turns[:-1]
                    i, m = encode(tok, turns, rng)
                if len(i) > LIMIT:
                    continue
                m[0] = whole  # an opening has no end to be learned
                whole = int(cut is None)
                ids += i
                mask += m
                count += 1
                if count < 400:
                    show.write("".join(f"User: {q}\n\nAssistant: {a}\n\n" for q, a in turns) + "----\n\n")
        np.array(ids, np.uint16).tofile(f"{data}/chat.{split}.bin")
        np.array(mask, np.uint8).tofile(f"{data}/chat.{split}.mask.bin")
        info = {"documents": count, "tokens": len(ids), "learned": sum(w > 0 for w in mask)}
        json.dump(info, open(f"{data}/chat.{split}.json", "w"))
        print(split, info)


if __name__ == "__main__":
    main()
