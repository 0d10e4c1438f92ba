"""Nouns, colours and small adjectives that the rules of turns.py know, and how words are bent."""
import re

ANIMALS = ("dog cat bird rabbit bunny bear fox frog mouse duck cow horse pig sheep goat hen chicken lion tiger "
           "elephant monkey giraffe zebra squirrel turtle snake owl wolf deer bee butterfly ant spider snail worm "
           "kitten puppy pony donkey dragon dinosaur whale dolphin shark crab penguin parrot crow hedgehog mole "
           "beaver lamb goose swan ladybug caterpillar lizard crocodile hippo kangaroo camel peacock rooster seal "
           "octopus unicorn fish bat rat raccoon panda fly starfish toad eagle robin").split()
THINGS = ("ball book car kite doll hat boat train truck toy cup spoon bell key lamp drum flower tree rock stone "
          "shell leaf stick ladder rope bag basket bucket blanket chair table bed door window clock mirror ring "
          "crown coat dress shoe sock scarf umbrella balloon bike bicycle swing slide wagon cart wheel candle "
          "pencil crayon map letter coin jar bottle plate bowl pot pan knife fork hammer broom brush button "
          "feather nest egg star moon cloud rainbow puddle snowman sled robot rocket plane ship puzzle guitar "
          "piano whistle flag tent pillow box needle lantern sword shovel wand bench bus bone picture game "
          "present glove kettle violin trumpet camera telescope magnet chain fence gate seed web ribbon").split()
PLACES = ("park forest garden farm beach house school zoo store shop lake river pond sea mountain hill cave castle "
          "village city town field barn kitchen bridge well island library market tower jungle desert meadow "
          "playground pool tunnel cottage mill palace church museum swamp valley attic cellar cabin").split()
FOODS = ("apple banana cake cookie pie carrot pear orange lemon peach cherry strawberry sandwich pizza pancake "
         "tomato potato berry mushroom pumpkin onion muffin nut soup cheese bread honey").split()
MEN = "king prince farmer wizard pirate sailor knight clown giant fireman policeman grandpa".split()
WOMEN = "queen princess witch fairy grandma ballerina mermaid".split()
PEOPLE = MEN + WOMEN + "boy girl man woman doctor teacher baker baby soldier hunter fisherman mom dad".split()
EXCHANGED = [ANIMALS, THINGS, PLACES, FOODS, MEN, WOMEN]  # a word is replaced by one of its own kind

# These also have another meaning in the stories, or bend unlike the rest: they are put in, never taken out.
KEPT = set("well orange swing slide ring stick rock store shop park duck fish bear book box train game picture "
           "hammer button star seal leaf fly bat mole crow nut soup cheese bread honey sheep deer present present "
           "brush clock school bed fork flower sea house city town field plane letter light fence chain web "
           "map pool match".split())
MASS = set("soup cheese bread honey".split())
COLOURS = "red blue green yellow pink purple white black brown orange golden silver grey".split()
SIZES = "little big small old tiny young brave clever kind shiny magic funny lonely lost pretty wise sleepy".split()
ODD = {"mouse": "mice", "goose": "geese", "fish": "fish", "sheep": "sheep", "deer": "deer", "man": "men",
       "woman": "women", "fireman": "firemen", "policeman": "policemen", "fisherman": "fishermen", "wolf": "wolves",
       "leaf": "leaves", "knife": "knives", "potato": "potatoes", "tomato": "tomatoes", "starfish": "starfish",
       "octopus": "octopuses"}
NOUNS = [w for k in (ANIMALS, THINGS, PLACES, FOODS, PEOPLE) for w in k]
KIND = {w: k for k in EXCHANGED for w in k}


def plural(w):
    if w in ODD:
        return ODD[w]
    if re.search("[^aeiou]y$", w):
        return w[:-1] + "ies"
    return w + ("es" if re.search("(s|x|z|ch|sh)$", w) else "s")


def article(w):
    return ("an " if w[0] in "aeiou" and not re.match("uni|use", w) else "a ") + w


FORMS = {w: (w, plural(w)) for w in NOUNS}
USE = {}  # in how many texts a noun is, by learn_nouns
SINGULAR = {f: w for w, fs in FORMS.items() for f in fs}
_word = re.compile(r"[a-z]+")


def held(text, noun):
    """Reports whether text holds the noun, in the singular or the plural, as a word of its own."""
    return bool(re.search(rf"\b({noun}|{plural(noun)})\b", text, re.I))


_after = r"(?=[.,!?]| (?:and|was|is|in|on|with|to|that|who|had|said|named|called|for|at|from|of|could|would|were)\b)"
_determined = re.compile(r"\b(?:a|an) ([a-z]{3,})\b")
_closed = re.compile(r"\b(?:a|an) ([a-z]{3,})\b" + _after)
DULL = set("day time way moment while lot bit thing minute second year week night morning few hour end good new one "
           "bad big very same try look chance break rest cut lesson problem sudden urge feeling face noise sip pair idea home "
           "spot difference solution point mark eye little friend place kind part world one other long piece hug nap name".split())


def learn_nouns(docs):
    """Adds what stands behind an article and before the end of a phrase, more often than not, in many texts."""
    open_, closed = {}, {}
    for d in docs:
        for w in _determined.findall(d):
            open_[w] = open_.get(w, 0) + 1
        for w in _closed.findall(d):
            closed[w] = closed.get(w, 0) + 1
    for w, n in closed.items():
        if n >= 6 and n > 0.6 * open_[w] and w not in DULL and w not in SINGULAR:
            FORMS[w] = (w,)
            SINGULAR[w] = w
    for d in docs:
        for w in nouns_in(d):
            USE[w] = USE.get(w, 0) + 1


def nouns_in(text):
    """Known nouns of a text, with the offset of the first occurrence of each, in order."""
    found = {}
    for m in _word.finditer(text.lower()):
        n = SINGULAR.get(m.group())
        if n and n not in found:
            found[n] = m.start()
    return found


def exchange(text, old, new):
    """Replaces a noun by another one everywhere, with its plural and its article."""
    def one(m):
        w = m.group(3)
        w2 = new if w.lower() == old else plural(new)
        w2 = w2.capitalize() if w[0].isupper() else w2
        art = m.group(1)
        if art and w.lower() == old:
            a = article(new).split()[0]
            art = a.capitalize() if art[0].isupper() else a
        return (art + m.group(2) if art else "") + w2
    return re.sub(rf"(?i)(?:\b(an?)(\s+))?\b({old}|{plural(old)})\b", one, text)
