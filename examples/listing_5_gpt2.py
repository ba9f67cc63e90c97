"""The course's fifth listing and its story: a GPT goes on with a text (lines 483-505).

The listing generates with `gpt2` by TensorFlow classes that transformers no longer has. With the
folder of a checkpoint of GPT-2, two lines do the same here:

    gpt2 = ensuite.load("gpt2")
    print(gpt2.generate("Il était une fois", max_new_tokens=50))

`max_length=50` in the listing counts the tokens of the prompt too; `max_new_tokens` does not.
`num_return_sequences` is `count` of `complete`.

    python examples/listing_5_gpt2.py [BUDGET] [FOLDER]

Without a folder, a small GPT learns first: À la recherche du temps perdu, if the environment
variable ENSUITE_DATA names a folder with it (proust_fr/train.txt.gz), else short tales that are
put together at random.
"""

import os
import random
import sys
from pathlib import Path

import ensuite

PROMPTS = [
    "Il était une fois",
    "Il était une fois, dans un petit village, un vieux forgeron qui",
]
PLACES = ["dans un petit village", "au bord de la mer", "dans une grande forêt", "sur une île"]
PEOPLE = ["un vieux forgeron", "une jeune reine", "un pauvre pêcheur", "une bergère", "un meunier"]
HABITS = [
    "se levait avant l'aube et allumait le feu",
    "rêvait de voir le monde",
    "chantait du matin au soir",
    "ne parlait qu'aux oiseaux",
    "cherchait un trésor sous les pierres",
]
EVENTS = [
    "Un jour, un étranger frappa à sa porte.",
    "Une nuit, la neige couvrit toute la vallée.",
    "Un matin, le roi passa par là.",
    "Au printemps, la rivière se mit à parler.",
]
ENDINGS = [
    "Depuis, tous vivent heureux.",
    "Personne ne l'a jamais revu.",
    "On en parle encore à la veillée.",
]


def tales(count: int) -> list[dict[str, str]]:
    """Return so many tales of three sentences, drawn from a seed."""
    draw = random.Random(0)
    return [
        {
            "text": f"Il était une fois, {draw.choice(PLACES)}, {draw.choice(PEOPLE)} qui "
            f"{draw.choice(HABITS)}. {draw.choice(EVENTS)} {draw.choice(ENDINGS)}"
        }
        for _ in range(count)
    ]


budget = sys.argv[1] if len(sys.argv) > 1 else "25s"
folder = sys.argv[2] if len(sys.argv) > 2 else ""
if not folder:
    proust = Path(os.environ.get("ENSUITE_DATA", "")) / "proust_fr" / "train.txt.gz"
    data = str(proust) if proust.is_file() else tales(1000)
    trained = ensuite.train("generate", data, model="gpt:width=96,layers=3", budget=budget)
    folder = str(trained.folder)

model = ensuite.load(folder)
for prompt in PROMPTS:
    print(f"{prompt}{model.generate(prompt, max_new_tokens=50, temperature=0.7, seed=1)}\n")
