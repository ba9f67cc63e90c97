"""The columns of the built-in sets: what packages bring along, and what is drawn from a seed."""

import unicodedata
from collections import defaultdict
from typing import Any

import numpy as np

LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "pl", "fi", "tr", "hu")

# Each country takes "en" and each language "le": grammar does not give the answer away.
SPOKEN = {
    "France": "français",
    "Grèce": "grec",
    "Pologne": "polonais",
    "Russie": "russe",
    "Suède": "suédois",
    "Turquie": "turc",
    "Chine": "chinois",
    "Finlande": "finnois",
}
BIRTH = "Je suis né en {}, un beau pays."  # its end keeps what follows out of short n-grams
FILLERS = (  # five words each
    "Il pleut souvent le dimanche.",
    "Nous dînons tard le soir.",
    "Ma sœur joue du piano.",
    "Le train part à midi.",
    "Mon chat dort au soleil.",
    "Je marche beaucoup chaque matin.",
    "La rue est très calme.",
    "Le café ferme à minuit.",
    "Mes parents aiment le jardin.",
    "On lit le journal ici.",
    "Le vent se lève tôt.",
    "Les enfants rentrent de promenade.",
)
OTHERS = ("Mon voisin", "Mon ami", "Mon cousin", "Mon collègue")


def digits() -> dict[str, Any]:
    """Return images (rows, 8, 8), 0 to 16, and the digit each shows."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return {"X": found.images, "y": [str(label) for label in found.target]}


def iris() -> dict[str, Any]:
    """Return four lengths in centimetres, and the species."""
    from sklearn.datasets import load_iris

    found = load_iris()
    columns = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    lengths = dict(zip(columns, found.data.T, strict=True))
    return {**lengths, "label": [str(found.target_names[label]) for label in found.target]}


def names() -> dict[str, Any]:
    """Return names of countries and languages that only one of the languages uses."""
    from babel import Locale

    languages: dict[str, set[str]] = defaultdict(set)
    for code in LANGUAGES:
        locale = Locale(code)
        label = str(Locale(code).get_language_name("en"))
        for name in (*locale.territories.values(), *locale.languages.values()):
            languages[unicodedata.normalize("NFC", name)].add(label)
    rows = [(name, *labels) for name, labels in languages.items() if len(labels) == 1]
    return {"text": [name for name, _ in rows], "label": [label for _, label in rows]}


def memory(words: int = 20, rows: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Return sentences on where one is born, whose language is the answer, many words later.

    Two other people say where they are born, in the very same words. The three countries stand in
    a text once each, so counting words, or pairs of them, finds one row in three: only their order
    tells.

    Args:
        words: How many fill the way from the birth to the question, beside the two others.
        rows: How many texts.
        seed: What they are drawn from.
    """
    generator = np.random.default_rng(seed)
    countries = list(SPOKEN)
    texts, labels = [], []
    for _ in range(rows):
        birth, *others = (countries[i] for i in generator.permutation(len(countries))[:3])
        middle = fill(words, generator)
        for other in others:
            person = OTHERS[generator.integers(len(OTHERS))]
            place = int(generator.integers(len(middle) + 1))
            middle.insert(place, f"{person} dit : {BIRTH.format(other)}")
        texts.append(" ".join([BIRTH.format(birth), *middle, "Je parle couramment le"]))
        labels.append(SPOKEN[birth])
    return {"text": texts, "label": labels}


def fill(words: int, generator: np.random.Generator) -> list[str]:
    """Return sentences of so many words in all; the last may break off."""
    drawn = generator.integers(len(FILLERS), size=-(-words // 5))
    sentences = [FILLERS[i] for i in drawn]
    if words % 5:
        sentences[-1] = " ".join(sentences[-1].split()[: words % 5]) + "."
    return sentences
