"""Grapheme to phoneme: from the letters of a word to its pronunciation.

The data is the CMU Pronouncing Dictionary (cmudict/cmudict.tsv.gz) if the environment variable
ENSUITE_DATA names a folder with it; otherwise, names are spelled in the radio alphabet (Paris as
Papa Alfa Romeo India Sierra). The phoneme error rate is the share of wrong, missing and additional
phonemes; it is the metric `word_error_rate`, since each phoneme is one word here.

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
