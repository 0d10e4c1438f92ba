"""Write the held-out requests that measure the model's answers, as a line of JSON each.

usage: heldout.py > ../testdata/requests.jsonl

A line has the messages before the answer, each as [role, text], and what the answer must hold: each element
of "holds" is a list of words of which one must stand in the answer. "sentences" is the most sentences that it may
have, if it is not 0. The wordings are not those of wordings.py, but for a third of the requests; turns.py leaves out
what stands here. The stories that questions are about were written for this file.
"""
import json
import random

import words

COMMON = ["Tell me a story about {t}.", "Tell me a short story about {t}.", "Can you tell me a story about {t}?",
          "Write a story about {t}.", "A story about {t}, please."]
OTHER = ["Please tell us a nice little story about {t}.", "Could we have a story with {t} tonight?",
         "I'd love a story about {t}.", "My daughter is four. She wants a story about {t}.",
         "Would you tell me a tale about {t}?", "Write me a bedtime story with {t}, please.",
         "I like {t}. Tell me a story about that.", "What about a story with {t} in it?", "Tell my kids something about {t}.",
         "hi, a story with {t} please", "we want a story about {t}!!", "Now tell me a story about {t}.",
         "Do you know any story with {t}?", "Tell a tale of {t}.", "Please make up a story for my son about {t}."]
HAPPY = ["Tell me a story about {t} that has a happy ending.", "A story about {t} with a good end, please."]
SAD = ["Tell me a story about {t} that has a sad ending."]
ONE = ["Just one sentence about {t}, please.", "Tell me about {t} in one sentence.", "Write one short sentence with {t}."]
NAMES = [("girl", n) for n in "Lucy Rose Mia Ella Jane Tina".split()] + [("boy", n) for n in "Max Tim Otto Sam Jack Ned".split()]
PETS = "dog cat rabbit bear frog mouse fox duck pig bird".split()

STORIES = [
    ("Once there was a girl named Clara. She had a yellow kite. One day, Clara went to the beach with her kite. The wind "
     "took the kite up high. Clara laughed and ran after it. In the end, she held the string tight and went home happy.",
     [("Who is the story about?", ["Clara"]), ("What colour was the kite?", ["yellow"]), ("Where did Clara go?", ["beach"])]),
    ("Once upon a time, there was a boy named Peter. He lived near a lake. One day, Peter saw a green frog on a stone. The frog "
     "said, \"Can you help me find my home?\" Peter took the frog to the pond. The frog was happy and Peter smiled.",
     [("What was the boy's name?", ["Peter"]), ("What did Peter see?", ["frog"]), ("What colour was the frog?", ["green"])]),
    ("One day, a big bear named Bruno was hungry. He went to the forest to look for food. There he found a jar of honey. A little "
     "bee named Bea said it was hers. Bruno said sorry, and they shared the honey.",
     [("What is the name of the bear?", ["Bruno"]), ("Where did Bruno go?", ["forest"]), ("What did Bruno find?", ["honey", "jar"])]),
    ("There was a small white cat named Mimi. Mimi liked to sit in the garden. One day, she lost her red ball. She looked under "
     "the tree and behind the house. A dog brought the ball back. Mimi was very glad.",
     [("Who was in the story?", ["Mimi", "cat"]), ("What color was the ball?", ["red"]), ("How did the story end?", ["glad", "happy", "ball"])]),
    ("Once upon a time, there was a princess named Rosa. She lived in a big castle. One day, she went to the market and bought "
     "an apple. The apple was magic. Rosa gave it to a poor old man, and he thanked her.",
     [("Where did Rosa go?", ["market"]), ("What was the princess called?", ["Rosa"]), ("What did Rosa buy?", ["apple"])]),
    ("Tom and Ben were friends. They had a blue boat. One day they took the boat to the river. The boat had a hole, and water came "
     "in. Tom cried, but Ben had an idea. They fixed the boat with a leaf. Then they went home.",
     [("What colour is the boat?", ["blue"]), ("Who is it about?", ["Tom", "Ben"]), ("Where did they go?", ["river"])]),
]
TALK = [("Hello, who is there?", ["story", "stories", "storyteller"]), ("Hello, storyteller!", ["story", "stories", "storyteller"]),
        ("Hi, how are you today?", ["story", "stories"]), ("Good morning to you.", ["story", "stories", "storyteller"]),
        ("Hey you!", ["story", "stories", "storyteller"]), ("Hi there, friend", ["story", "stories", "storyteller"]),
        ("So who are you?", ["story", "stories", "storyteller"]), ("who is this", ["story", "stories", "storyteller"]),
        ("What are you, please?", ["story", "stories", "storyteller"]), ("tell me who you are", ["story", "stories", "storyteller"]),
        ("What can you do for me?", ["story", "stories", "storyteller"]), ("what can you tell me?", ["story", "stories", "storyteller"])]


def forms(noun):
    return list(words.FORMS[noun])


def main():
    rng, out, seen = random.Random(2026), [], set()

    def noun(kinds=(words.ANIMALS, words.ANIMALS, words.THINGS, words.PLACES, words.FOODS, words.PEOPLE)):
        return rng.choice(rng.choice(kinds))

    def put(kind, wording, t, nouns, sentences=0, extra=()):
        ask = wording.format(t=t)
        if ask in seen:
            return False
        seen.add(ask)
        out.append({"kind": kind, "messages": [["user", ask]], "holds": [forms(n) for n in nouns] + [[x] for x in extra],
                    "sentences": sentences})
        return True

    def some(n):
        return n if n in words.MASS else words.article(n)
    count = 0
    while count < 60:
        n = noun()
        count += put("one thing", rng.choice(COMMON if count % 3 == 0 else OTHER), some(n), [n])
    count = 0
    while count < 50:
        a, b = noun(), noun((words.ANIMALS, words.THINGS, words.THINGS, words.PLACES, words.FOODS))
        if a != b:
            count += put("two things", rng.choice(COMMON if count % 3 == 0 else OTHER), f"{some(a)} and {some(b)}", [a, b])
    count = 0
    while count < 24:
        kind, name = rng.choice(NAMES)
        pet = rng.choice(PETS)
        with_pet = count % 2 == 0
        t = f"{words.article(kind)} named {name}" + (f" and {some(pet)}" if with_pet else "")
        count += put("name", rng.choice(COMMON if count % 3 == 0 else OTHER[:12]), t, [pet] if with_pet else [], extra=[name])
    count = 0
    while count < 12:
        n = noun()
        count += put("ending", rng.choice(HAPPY + SAD), some(n), [n])
    count = 0
    while count < 12:
        n = noun()
        count += put("one sentence", rng.choice(ONE), some(n), [n], 1)
    for story, questions in STORIES:
        for ask, holds in questions:
            out.append({"kind": "question", "messages": [["user", "Tell me a story."], ["assistant", story], ["user", ask]],
                        "holds": [holds], "sentences": 0})
    for ask, holds in TALK:
        out.append({"kind": "talk", "messages": [["user", ask]], "holds": [holds], "sentences": 0})
    for story, _ in STORIES[:6]:
        out.append({"kind": "go on", "messages": [["user", "Tell me a story."], ["assistant", story.split(". ")[0] + "."], ["user", "Go on, please!"]],
                    "holds": [[story.split("named ")[1].split()[0].strip('.,"') if "named " in story else "Tom"]], "sentences": 0})
    for story, _ in STORIES[:6]:
        out.append({"kind": "shorter", "messages": [["user", "Tell me a story."], ["assistant", story], ["user", "Can you tell it shorter?"]],
                    "holds": [[story.split("named ")[1].split()[0].strip('.,"') if "named " in story else "Tom"]], "sentences": 4})
    assert len(out) == 200, len(out)
    for o in out:
        print(json.dumps(o))


if __name__ == "__main__":
    main()
