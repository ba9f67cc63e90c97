"""Spelling to sound: a word's letters in, its phonemes out.

Where the environment variable ENSUITE_DATA names a folder with the CMU Pronouncing Dictionary
(cmudict/cmudict.tsv.gz), that; without it, names are spelled in the words of the radio alphabet,
Paris as Papa Alfa Romeo India Sierra. The share of phonemes that are wrong, left out or too many is
the phoneme error rate: here `word_error_rate`, as a phoneme is a word.

    python examples/phonemes.py [BUDGET]
"""

import os
import sys
from pathlib import Path

import ensuite
from ensuite.data.sets import load

RADIO = """
Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa
Quebec Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu
"""

budget = sys.argv[1] if len(sys.argv) > 1 else "30s"
dictionary = Path(os.environ.get("ENSUITE_DATA", "")) / "cmudict" / "cmudict.tsv.gz"
how = {"metric": "word_error_rate", "settings": {"target_unit": "words"}}
if dictionary.is_file():
    given = {"source": "word", "target": "phones", "ignore": "variant"}
    how |= {"data": str(dictionary), "given": given, "how": "group:word"}
else:
    radio = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", RADIO.split(), strict=True))
    names = [name.upper() for name in load("names")["train"].columns["text"]]
    names = sorted({name for name in names if name.isascii() and name.isalpha()})
    how["data"] = [
        {"source": name, "target": " ".join(radio[letter] for letter in name)} for name in names
    ]

found = ensuite.compare("translate", models=["seq2seq"], budget=budget, seeds=1, **how)
print(found)
