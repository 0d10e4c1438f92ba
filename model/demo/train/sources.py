"""Write SOURCES.md: every source with its commit, size and licence.

usage: sources.py MIRROR_DIR OUT_FILE
"""
import os
import re
import sys

import prepare

prepare.MIRROR = sys.argv[1]
rows = []
for repo in sorted(os.listdir(sys.argv[1])):
    if repo.startswith("GITenberg+"):
        names = prepare.git(repo, "ls-tree", "--name-only", "HEAD").decode().split("\n")
        name = sorted(n for n in names if re.fullmatch(r"\d+(-0|-8)?\.txt", n))[0]
        raw = prepare.git(repo, "show", "HEAD:" + name)
        text = raw.decode("latin-1" if name.endswith("-8.txt") else "utf-8", "replace")
        title = re.search(r"^Title:\s*(.+?)\r?$", text, re.M)
        author = re.search(r"^(?:Author|Editor):\s*(.+?)\r?$", text, re.M)
        used = sum(map(len, prepare.book(repo)))
        commit = prepare.git(repo, "rev-parse", "HEAD").decode()[:12]
        rows.append((name.split(".")[0].split("-")[0], title.group(1).strip() if title else repo.split("+")[1].rsplit("_", 1)[0].replace("-", " "),
                     author.group(1).strip() if author else "", repo.replace("+", "/"), name, commit, used))
with open(sys.argv[2], "w") as f:
    f.write("""# Sources of the training text

All text was taken from public GitHub repositories (at the commit given).
None of the text is shipped with the model.

## TinyStories (short synthetic stories)

Ronen Eldan and Yuanzhi Li, *TinyStories*, Microsoft Research 2023,
<https://huggingface.co/datasets/roneneldan/TinyStories>, licence **CDLA-Sharing-1.0**.
CDLA-Sharing puts no conditions on results of computational use of the data, such as model weights
(its "Results"); it applies to sharing the data itself.  The stories were
written by GPT-3.5 and GPT-4.  The subsets below are copies of parts of that data set found in other
people's repositories; those repositories do not restate its licence, which is taken from the
data set itself.  Duplicates across them were removed.

| repository | file | commit |
|---|---|---|
""")
    for repo, (path, _) in prepare.STORIES.items():
        commit = prepare.git(repo, "rev-parse", "HEAD").decode()[:12]
        f.write(f"| {repo.replace('+', '/')} | {path} | {commit} |\n")
    f.write("""
## Public-domain books (Project Gutenberg, through the GITenberg mirror)

Public domain in the United States (Project Gutenberg's clearance; all first published before 1929).
Some authors died less than 70 years ago or fairly recently (Thornton W. Burgess 1965, Howard R. Garis
1962), so those books may still be in copyright in life+70 countries; remove them if that matters.
Project Gutenberg's header, licence text and name were removed from the text, as its terms ask.

| id | title | author | repository | file | commit | characters used |
|---|---|---|---|---|---|---|
""")
    for r in sorted(rows, key=lambda r: r[1]):
        f.write("| " + " | ".join(map(str, r)) + " |\n")
    f.write("""
## Turns (the chat data of the second training)

*Turns from rules.* Rules of this project made the turns (`train/turns.py`, `train/questions.py`,
`train/quiz.py`): they took the stories above and put the user's words around them.  The user's
words, the questions and the lists of nouns are written by hand for this project
(`train/wordings.py`, `train/words.py`).  No other chat data was used.

*Names exchanged.*  In the turns, and in the same stories as plain text (`train/plain.py`), most first names and nouns
are exchanged for others of the project's lists, at random from a seed.  What was exchanged is still TinyStories'
text with its licence.

*The story model's own outputs.*  In its second round the second training learned, for plain stories and for words of
answers that nothing asked for, which tokens the story model of the first training holds likely there.  The
story model is this project's own, trained on the text above alone.  So these outputs bring in no other source.

## Vocabulary

`rwkv_vocab_v20230424.txt` from BlinkDL/ChatRWKV (Apache-2.0), reduced: ids 1-256 are the single bytes,
the rest are World entries chosen by how often the greedy tokenizer uses them in the text above.

## Considered and not used

* erikhyrkas/snakes (MIT; about 27 MB of children's, bedtime and campfire stories): its text was generated
  with Llama 3.1, whose licence asks that models trained on such output carry "Llama" in their name.
* ayden175/fairy-tales: the Andersen part is Jean Hersholt's 1949 translation, not public domain.
""")
