"""An autoencoder initialises a classifier (line 263): what that gains with few and many labels.

The encoder learns from all digits but those of the test, without their labels. Then a classifier
starts from it, beside the same network with new weights. The classifier reads the code.

    python examples/encoder_first.py [BUDGET] [SEED]
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import ensuite

budget = sys.argv[1] if len(sys.argv) > 1 else "600steps"
seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0

digits = load_digits()
order = np.random.default_rng(seed).permutation(len(digits.images))
test, rest = order[:360], order[360:]
how = {"settings": {"input": "image"}, "seed": seed, "budget": budget}
held_out = {"X": digits.images[test], "y": digits.target[test]}

run = Path("runs") / f"encoder-{seed}"
ensuite.train("reduce", {"X": digits.images[rest]}, model="autoencoder:code=16", out=run, **how)

for labels in (50, 500, len(rest)):
    data = {"X": digits.images[rest[:labels]], "y": digits.target[rest[:labels]]}
    for name, model in (
        ("new weights", "autoencoder:code=16"),
        ("from the encoder", f"autoencoder:init_from={run}"),
    ):
        classifier = ensuite.train("classify", data, test=held_out, model=model, **how)
        accuracy = classifier.evaluate(held_out)["accuracy"]
        print(f"{labels:5,d} labels, {name:16s}  accuracy {accuracy:.3f}")
