"""Many to one: from a sequence to one label (the course, lines 22 and 89 to 92).

A recurrent network reads a text step by step, and a linear layer predicts the label from its last
hidden state h_T alone. If the environment variable ENSUITE_DATA names a folder with SST-2
(sst2/train.tsv and test.tsv), the label is whether a sentence is positive, read word by word;
otherwise, it is the language (one of ten) of the name of a country or language, read letter by
letter.

    python examples/many_to_one.py [BUDGET]
"""

import os
import sys
from pathlib import Path

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "3epochs"

sentences = Path(os.environ.get("ENSUITE_DATA", "")) / "sst2"
if sentences.is_dir():
    data, test = str(sentences / "train.tsv"), str(sentences / "test.tsv")
    asked = ["a gripping and moving film", "two hours of my life that i will not get back"]
else:
    data, test = "names", None
    asked = ["Frankreich", "Fransızca", "Franciaország"]

model = "lstm:summary=last,bidirectional=false"
network = ensuite.train("classify", data, test=test, model=model, budget=budget)
for text, found in zip(asked, network.predict(asked), strict=True):
    print(f"{text}: {found.label} ({found.probability:.0%})")

states, summary = network.embed(asked[0]), network.embed(asked[0], pool=True)
print(f"{asked[0]}: {states.shape[1]} steps, each with a hidden state of size {states.shape[2]};")
print("the summary is the last hidden state:", bool((states[:, -1] == summary).all()))
