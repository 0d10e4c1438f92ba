"""What a model says of texts, by the logits that `rwkv-gpu logits` computes on the processor, which no server has a part in."""

import ast
import functools
import json
import os
import pathlib
import subprocess

import numpy

TIE = 1e-3  # logits that are closer than this may change places on another device


ROOT = pathlib.Path(__file__).parents[2]


def read_vocabulary():
    """Returns the tokens of the demo model, by their bytes: each line has an id, a text or bytes, and their number."""
    tokens = {}
    for line in (ROOT / "model/demo/vocab.txt").read_text().split("\n")[:-1]:
        number, literal = line.split(" ", 1)
        literal, size = literal.rsplit(" ", 1)
        token = ast.literal_eval(literal)
        token = token.encode() if isinstance(token, str) else token
        assert len(token) == int(size)
        tokens[token] = int(number)
    return tokens


IDS = read_vocabulary()
TOKENS = {number: token for token, number in IDS.items()}
LONGEST = max(map(len, IDS))


@functools.cache
def encode(text):
    """Returns the ids of a text: from its start on, each token is the longest one that fits."""
    rest, ids = text.encode(), []
    while rest:
        size = next(n for n in range(min(LONGEST, len(rest)), 0, -1) if rest[:n] in IDS)
        ids.append(IDS[rest[:size]])
        rest = rest[size:]
    return tuple(ids)


def decode(ids):
    """Returns the bytes of ids."""
    return b"".join(TOKENS[i] for i in ids)


@functools.cache
def logits(ids):
    """Returns the logits after each of the ids, (ids, vocabulary)."""
    command = ["logits", "--device", "cpu", "--json", "--quiet", "--all", "--tokens", ",".join(map(str, ids))]
    done = subprocess.run([os.environ["RWKV_BINARY"], *command], check=True, capture_output=True)
    return numpy.array(json.loads(done.stdout)["logits"], dtype=numpy.float64)


def loglikelihood(context, continuation):
    """Returns how likely ids are behind others, and whether each is the likeliest one there."""
    values = logits(tuple(context) + tuple(continuation))[len(context) - 1 : -1]
    top = values.max(axis=1)
    drawn = values[numpy.arange(len(continuation)), list(continuation)]
    sums = top + numpy.log(numpy.exp(values - top[:, None]).sum(axis=1))
    return float((drawn - sums).sum()), bool((drawn == top).all())


def greedy(prompt, most, draft, ends):
    """Returns the text that follows a prompt, each id the likeliest one, up to the end of the text, to so many ids, or to
    where ends(text) says that it ends. draft is what somebody says that the text is: as far as that is so, it is found
    with few passes. Where two ids are as likely it decides."""
    ids = []

    def text():
        return decode([i for i in ids if i]).decode(errors="replace")

    while len(ids) < most and (not ids or ids[-1] != 0) and not ends(text()):
        rest = draft.encode()[len(decode(ids)) :]
        guess = list(encode(rest.decode(errors="ignore")))[: most - len(ids) - 1]
        values = logits(tuple(prompt) + tuple(ids) + tuple(guess))[len(prompt) + len(ids) - 1 :]
        for row, guessed in zip(values, guess + [-1]):
            best = int(row.argmax())
            if guessed >= 0 and row[guessed] > row[best] - TIE:
                best = guessed
            ids.append(best)
            if best != guessed or best == 0:
                break
    return text()


def until(text, stops):
    """Returns a text up to the first of some stop strings to end."""
    ends = [(text.index(s) + len(s), -len(s)) for s in stops if s in text]
    end, length = min(ends, default=(len(text), 0))
    return text[: end + length]
