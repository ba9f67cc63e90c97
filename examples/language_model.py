"""One to many: from a prompt to a text (the course, lines 17, 23 and 432).

A recurrent network learns to predict the next character of a text. Its hidden state is carried from
chunk to chunk, and gradients go back one chunk (truncated back-propagation through time). Then it
generates text by greedy decoding, sampling and beam search. The text is
tinyshakespeare/input.txt.gz if the environment variable ENSUITE_DATA names a folder with it, else a
nursery rhyme.

    python examples/language_model.py [BUDGET]
"""

import os
import sys
import tempfile
from pathlib import Path

import ensuite

RHYME = "the cat sat on the mat, the dog sat on the cat, and so on, and so on.\n"

budget = sys.argv[1] if len(sys.argv) > 1 else "3epochs"

text = Path(os.environ.get("ENSUITE_DATA", "")) / "tinyshakespeare" / "input.txt.gz"
if not text.is_file():
    text = Path(tempfile.mkdtemp()) / "rhyme.txt"
    text.write_text(RHYME * 200, encoding="utf-8")

options = {"unit": "characters", "width": 256, "dropout": 0.1, "recipe.learning_rate": 5e-3}
network = ensuite.train("generate", text, model="lstm", budget=budget, settings=options)

print("greedy        ", network.generate("the ", temperature=0, max_new_tokens=60))
for temperature in (0.5, 1.0):
    print(f"temperature {temperature}", end=" ")
    for piece in network.stream("the ", temperature=temperature, max_new_tokens=60, seed=1):
        print(piece, end="", flush=True)  # as soon as it is generated
    print()
print("beam of 4     ", network.generate("the ", beam=4, max_new_tokens=60))

for asked in ("the cat sat on the mat", "mat the on sat cat the"):
    (cost,) = network.predict([asked])
    print(f"{cost.bits / cost.bytes:5.2f} bits per byte: {asked}")
