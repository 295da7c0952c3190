"""What MeCab makes of each line of a file: `surface/TAG` with spaces between. Needs Python's package python-mecab-ko."""

import sys

from mecab import MeCab

mecab = MeCab()
with open(sys.argv[1], encoding="utf-8") as text:
    for line in text.read().split("\n")[:-1]:
        print(" ".join(f"{morpheme.surface}/{morpheme.pos}" for morpheme in mecab.parse(line)))
