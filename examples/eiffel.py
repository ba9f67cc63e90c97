"""Extractive question answering: how high is the Eiffel Tower? (the course, lines 399-403).

Two linear layers on the states of an encoder score where an answer starts and where it ends; the
input is [CLS] context [SEP] question [SEP], as in the course. If the environment variable
ENSUITE_DATA names a folder with PIAF (piaf_fr/piaf-150.json.gz), the model learns from its 3,175
French questions on articles of Wikipedia. Otherwise it learns from questions about towers and gates
that do not exist, whose names are drawn from syllables.

A run of `ensuite train fill` on French text, as second argument, is what training starts from.

    python examples/eiffel.py [BUDGET] [RUN]
"""

import os
import random
import sys
from pathlib import Path

import ensuite

TEXT = (
    "La tour Eiffel mesure 324 m de haut. Elle a été construite par Gustave Eiffel pour "
    "l'Exposition universelle de Paris, et inaugurée en 1889."
)
QUESTIONS = [
    "Quelle est la hauteur de la tour Eiffel ?",
    "Quand a-t-elle été inaugurée ?",
    "Qui l'a construite ?",
]
SYLLABLES = ["ba", "do", "fi", "gu", "ke", "la", "mo", "ni", "pe", "ra", "so", "tu", "vi", "zo"]
WORKS = ["la tour", "la porte", "la halle", "la colonne"]
HEIGHTS = [
    "{Work} mesure {height} de haut.",
    "Haute de {height}, elle domine {town}.",
    "{Work} atteint {height}.",
]
ORIGINS = [
    "Elle a été construite par {builder} pour {town}, et inaugurée en {year}.",
    "Elle a été construite par {builder} pour l'Exposition universelle de {town} en {year}.",
    "Inaugurée en {year}, elle est l'œuvre de {builder}.",
    "{Work} a été construite par {builder}. On l'a inaugurée en {year}.",
]
OTHERS = ["Elle se trouve à {town}.", "On la visite chaque jour.", "Elle est connue de tous.", ""]


def invented(count: int) -> list[dict[str, str]]:
    """Return three questions about each of some works, whose facts are told in many ways."""
    draw, rows = random.Random(0), []

    def name() -> str:
        return "".join(draw.choices(SYLLABLES, k=draw.randint(2, 3))).capitalize()

    for _ in range(count):
        work = f"{draw.choice(WORKS)} {name()}"
        told = {
            "Work": work.capitalize(),
            "town": name(),
            "height": f"{draw.randint(12, 480)} m",
            "year": str(draw.randint(1650, 2020)),
            "builder": f"{name()} {name()}",
        }
        facts = [draw.choice(HEIGHTS), draw.choice(ORIGINS), *draw.sample(OTHERS, 2)]
        draw.shuffle(facts)
        context = " ".join(fact.format(**told) for fact in facts if fact)
        asked = {
            f"Quelle est la hauteur de {work} ?": told["height"],
            "Quand a-t-elle été inaugurée ?": told["year"],
            "Qui l'a construite ?": told["builder"],
        }
        rows += [
            {"context": context, "question": question, "answers": answer}
            for question, answer in asked.items()
        ]
    return rows


budget = sys.argv[1] if len(sys.argv) > 1 else "25s"
start = sys.argv[2] if len(sys.argv) > 2 else None
piaf = Path(os.environ.get("ENSUITE_DATA", "")) / "piaf_fr" / "piaf-150.json.gz"
data = str(piaf) if piaf.is_file() else invented(400)
model = "bert:width=64,layers=2,heads=2" if start is None else f"bert:init_from={start}"
settings = {"order": "context", "recipe.learning_rate": "2e-3"}
if not piaf.is_file():
    settings |= {"unit": "words"}  # so that a name is one unknown word, whatever it is
run = ensuite.train("answer", data, model=model, budget=budget, settings=settings)
for question in QUESTIONS:
    (answer,) = run.predict([{"context": TEXT, "question": question}])
    print(f"{question:45s} {answer.text or 'no answer'} ({answer.probability:.0%})")
