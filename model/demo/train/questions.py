"""Questions about a story just told, with answers that rules read out of the story."""
import re

import words

ACTS = {"found": "find", "saw": "see", "wanted": "want", "had": "have", "got": "get", "made": "make", "bought": "buy",
        "liked": "like", "loved": "love", "heard": "hear", "took": "take", "ate": "eat", "gave": "give", "lost": "lose"}
PLACE = "|".join(f for p in words.PLACES for f in words.FORMS[p])
NOUN = "|".join(words.NOUNS)
WENT = re.compile(rf"\b(?:went|ran|walked|go|came|going|run|walk|drove|flew) (?:to|into|through) (the|a|an) ((?:\w+ )?)({PLACE})\b")
WAS = re.compile(rf"\b(in|at|near|by) (the|a|an) ((?:\w+ )?)({PLACE})\b")
COLOUR = re.compile(rf"\b({'|'.join(words.COLOURS)}) ({NOUN})\b")
ACT = re.compile(rf"\b([A-Z][a-z]+|The (?:{NOUN})) ({'|'.join(ACTS)}) ((?:a|an|the|some|his|her) [a-z ]{{3,40}}?)(?= and |[.,!?])")


def cap(s):
    return s[:1].upper() + s[1:]


def who(s, rng):
    if s.name and s.kind:
        a = words.article(s.kind) + rng.choice([" named ", " called "]) + s.name
    elif s.name:
        a = s.name
    else:
        a = words.article(s.hero[4:])
    q = rng.choice(["Who is the story about?", "Who was in the story?", "What is the story about?", "Who is it about?",
                    "who is the story about", "Who was the story about?", "Who is in the story?"])
    return q, rng.choice([f"The story is about {a}.", f"It is about {a}.", f"The story was about {a}."])


def name(s, rng):
    if not (s.name and s.kind):
        return None
    k = s.kind
    q = rng.choice([f"What was the name of the {k}?", f"What is the {k}'s name?", f"What was the {k} called?",
                    f"what was the {k}'s name", f"What is the name of the {k}?"])
    return q, rng.choice([f"The {k}'s name was {s.name}.", f"The {k} was called {s.name}.", f"The name of the {k} was {s.name}."])


def where(s, rng):
    m, w = WENT.search(s.text), s.hero
    if m and w:
        place = f"{m.group(1)} {m.group(2)}{m.group(3)}"
        q = rng.choice([f"Where did {w} go?", "Where did they go?", f"where did {w} go", f"Where was {w}?",
                        "Where does the story happen?"])
        return q, f"{cap(w)} went to {place}." if "did" in q.lower() else f"{cap(w)} was in {place}." if w in q else f"It happens in {place}."
    m = WAS.search(s.text)
    if m and w:
        place = " ".join(m.group(1, 2)) + " " + m.group(3) + m.group(4)
        q = rng.choice([f"Where was {w}?", "Where does the story happen?", "Where did it happen?", "Where were they?"])
        return q, f"{cap(w)} was {place}." if w in q else f"They were {place}." if "they" in q else f"It happened {place}."
    return None


def colour(s, rng):
    found = [m for m in COLOUR.finditer(s.text) if m.group(1) != m.group(2)]
    if not found:
        return None
    m = rng.choice(found)
    c, n = m.groups()
    q = rng.choice([f"What colour was the {n}?", f"What color was the {n}?", f"what color is the {n}",
                    f"Which colour did the {n} have?", f"What colour is the {n}?", f"What color is the {n}?"])
    return q, rng.choice([f"The {n} was {c}.", f"The {n} was {c}.", f"It was {c}."])


def act(s, rng):
    found = list(ACT.finditer(s.text))
    if not found:
        return None
    m = rng.choice(found)
    w, a, what = m.groups()
    if w in ("He", "She", "It", "They", "One", "But", "So", "Then", "And", "Once", "When", "We", "You", "There", "Everyone"):
        if w not in ("He", "She") or not s.name:
            return None
        w = s.name
    return (rng.choice([f"What did {w[:1].lower() + w[1:] if w.startswith('The ') else w} {ACTS[a]}?"] * 3 +
                       [f"what did {w[:1].lower() + w[1:] if w.startswith('The ') else w} {ACTS[a]}"]), f"{w} {a} {what}.")


def friend(s, rng):
    m = re.search(r"friend,? (?:named |called )?([A-Z][a-z]+)\b", s.text)
    if not m or not s.name or m.group(1) == s.name:
        return None
    return (rng.choice([f"Who was {s.name}'s friend?", f"Who is the friend of {s.name}?", f"Did {s.name} have a friend?"]),
            f"{s.name}'s friend was {m.group(1)}.")


def present(s, rng):
    if rng.random() < 0.5 and s.nouns:
        n = rng.choice(list(s.nouns))
        q, a = words.article(n), f"Yes, there is {words.article(n)} in the story."
    else:
        n = rng.choice(words.ANIMALS + words.THINGS)
        if n in s.nouns:
            return None
        q, a = words.article(n), f"No, there is no {n} in the story."
    return rng.choice([f"Is there {q} in the story?", f"Was there {q} in the story?", f"Does the story have {q}?"]), a


def end(s, rng):
    last = s.sentences[-1]
    if len(last) < 20 or last.count('"') % 2:
        return None
    q = ["How did it end?", "How did the story end?", "how does it end", "What happened at the end?", "What happened in the end?",
         "How does the story end?"]
    return rng.choice(q), last


def happy(s, rng):
    w = s.hero
    if not w or abs(s.mood) < 2:
        return None
    yes = s.mood > 0
    q, good = rng.choice([(f"Was {w} happy in the end?", yes), (f"Was {w} sad in the end?", not yes), ("Did it end well?", yes),
                          ("Does the story have a happy ending?", yes)])
    what = "happy" if yes else "sad"
    return q, ("Yes, " if good else "No, ") + f"{w} was {what} in the end."


def begin(s, rng):
    if s.sentences[0].count('"') % 2:
        return None
    return rng.choice(["How does the story begin?", "How did it start?", "What happened first?"]), s.sentences[0]


KINDS = [who, who, name, name, where, where, where, colour, colour, colour, act, act, act, friend, present, end, end, happy, begin]


def ask(s, rng, count):
    """-> up to count pairs of a question about story s and its answer"""
    out, asked = [], set()
    if not s.hero:
        return out
    for f in rng.sample(KINDS, len(KINDS)):
        if len(out) < count and f not in asked:
            asked.add(f)
            qa = f(s, rng)
            if qa:
                out.append(qa)
    return out
