"""The built-in data sets: some come with installed packages, others are drawn from a seed."""

import unicodedata
from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensuite.core.errors import UsageError

LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "pl", "fi", "tr", "hu")

DIGITS = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "fr": ("zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"),
}
MOST_DIGITS = 4

# Every country takes "en" and every language "le", so that grammar does not reveal the answer.
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
BIRTH = "Je suis né en {}, un beau pays."  # no short n-gram spans the country and what follows
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

# Reber's grammar: the transitions of each state, as (symbol, next state).
REBER = (
    (("B", 1),),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7),),
)


def digits() -> dict[str, Any]:
    """Return images (rows, 8, 8) with values 0 to 16, and the digit that each shows."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return {"X": found.images, "y": [str(label) for label in found.target]}


def digit_captions(french: int = 0, rows: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Return images (rows, 8, 32) of one to four digits side by side, captioned with their names.

    The digits start at a random offset. The test part has a quarter as many rows, and its digit
    images do not occur in the training rows.

    Args:
        french: 1 for captions in French, 0 for English.
        rows: Number of training images.
        seed: Random seed.
    """
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = np.round(found.images * (255 / found.images.max())).astype(np.uint8)
    names = DIGITS["fr" if french else "en"]
    generator = np.random.default_rng(seed)

    def draw(rows: int, shown: NDArray[Any]) -> dict[str, Any]:
        pictures, texts = np.zeros((rows, 8, 8 * MOST_DIGITS), dtype=np.uint8), []
        for picture in pictures:
            chosen = generator.choice(shown, size=generator.integers(1, MOST_DIGITS + 1))
            left = generator.integers(picture.shape[1] - 8 * len(chosen) + 1)
            picture[:, left : left + 8 * len(chosen)] = np.concatenate(pixels[chosen], axis=1)
            texts.append(" ".join(names[found.target[number]] for number in chosen))
        return {"image": pictures, "text": texts}

    train, test = np.split(np.arange(len(pixels)), [3 * len(pixels) // 4])
    return {"train": draw(rows, train), "test": draw(-(-rows // 4), test)}


def iris() -> dict[str, Any]:
    """Return four lengths in centimetres and the species of each flower."""
    from sklearn.datasets import load_iris

    found = load_iris()
    columns = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    lengths = dict(zip(columns, found.data.T, strict=True))
    return {**lengths, "label": [str(found.target_names[label]) for label in found.target]}


def names() -> dict[str, Any]:
    """Return names of countries and languages, each with the only language that uses it."""
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
    """Return texts that begin with a country of birth; the label is the language spoken there.

    Two other people state where they were born, in the same words. Each of the three countries
    occurs once in a text, so word or bigram counts are right for one row in three: only the order
    gives the answer.

    Args:
        words: Number of filler words between the birth and the question.
        rows: Number of texts.
        seed: Random seed.
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
    """Return sentences with ``words`` words in total; the last one may be cut short."""
    drawn = generator.integers(len(FILLERS), size=-(-words // 5))
    sentences = [FILLERS[i] for i in drawn]
    if words % 5:
        sentences[-1] = " ".join(sentences[-1].split()[: words % 5]) + "."
    return sentences


def reber(between: int = 10, rows: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Return strings of the embedded Reber grammar, and as many that violate it in one symbol.

    The second symbol, T or P, must be repeated as the second-to-last. Each string of Reber's
    grammar appears with all four pairs of these symbols, so that neither the rest of the string nor
    one of the two symbols alone predicts the label.

    Args:
        between: Minimum number of symbols between the two; the maximum is twice as many.
        rows: Number of strings, all of them different.
        seed: Random seed; strings of equal length are equally likely.

    Raises:
        UsageError: If the grammar has too few strings of these lengths.

    Sources:
        Reber (1967), https://doi.org/10.1016/S0022-5371(67)80149-X
        Embedded: Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735,
        section 5.1
    """
    ways = endings(2 * between)
    lengths = [length for length in range(between, 2 * between + 1) if ways[length][0]]
    if 4 * (most := sum(ways[length][0] for length in lengths)) < rows:
        raise UsageError(
            f"Reber's grammar has {4 * most:,} strings with {between} to {2 * between} symbols "
            f"between; ask for fewer than rows={rows}, or for a larger between."
        )
    generator = np.random.default_rng(seed)
    inner: dict[str, None] = {}  # distinct strings, in the order drawn
    while 4 * len(inner) < rows:
        inner[walk(int(generator.choice(lengths)), ways, generator)] = None
    found = [(text, first, last) for text in inner for first in "TP" for last in "TP"][:rows]
    return {
        "text": [f"B{first}{text}{last}E" for text, first, last in found],
        "label": [f"{'' if first == last else 'un'}grammatical" for _, first, last in found],
    }


def endings(length: int) -> list[list[int]]:
    """Count the paths to the end of Reber's grammar, by number of symbols left and by state.

    >>> [left[0] for left in endings(8)]
    [0, 0, 0, 0, 0, 2, 3, 4, 7]
    """
    ways = [[0] * len(REBER) + [1]]
    for _ in range(length):
        ways.append([sum(ways[-1][to] for _, to in arcs) for arcs in REBER] + [0])
    return ways


def walk(length: int, ways: list[list[int]], generator: np.random.Generator) -> str:
    """Sample uniformly among the strings of Reber's grammar with ``length`` symbols."""
    state, text = 0, ""
    for left in reversed(range(length)):
        first, last = REBER[state][0], REBER[state][-1]
        share = ways[left][first[1]] / ways[left + 1][state]
        symbol, state = first if generator.random() < share else last
        text += symbol
    return text


def anbn(trained: int = 50, asked: int = 500, rows: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Return :func:`counts` of two symbols: a^n b^n."""
    return counts("ab", trained, asked, rows, seed)


def anbncn(trained: int = 50, asked: int = 500, rows: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Return :func:`counts` of three symbols: a^n b^n c^n."""
    return counts("abc", trained, asked, rows, seed)


def counts(symbols: str, trained: int, asked: int, rows: int, seed: int) -> dict[str, Any]:
    """Return texts that repeat each symbol n times, and texts where two of the counts differ.

    In the latter, some occurrences of one symbol are replaced by another, so that the length gives
    no hint. Training rows have 1 to n replacements, drawn from a log-uniform distribution, because
    models do not learn to count from single replacements alone. Test rows have one replacement.

    Args:
        symbols: The symbols, in order.
        trained: Largest n in the training rows.
        asked: Largest n in the test rows; the smallest is ``trained`` + 1.
        rows: Number of training texts; the test has a quarter as many.
        seed: Random seed.

    Raises:
        UsageError: If ``asked`` is not more than ``trained``, or that is 0.

    Sources:
        Gers & Schmidhuber (2001), https://doi.org/10.1109/72.963769
        As a classification task: Weiss, Goldberg & Yahav (2018), https://arxiv.org/abs/1805.04908
    """
    if not 0 < trained < asked:
        raise UsageError(
            f"trained is {trained} and asked {asked}; train 1 or more, and ask more than that."
        )
    generator = np.random.default_rng(seed)

    def draw(rows: int, shortest: int, longest: int, furthest: int | None) -> dict[str, list[str]]:
        texts, labels = [], []
        for row in range(rows):
            n = int(generator.integers(shortest, longest + 1))
            numbers = [n] * len(symbols)
            if row % 2:
                off = int(np.exp(generator.uniform(0, np.log(1 + (furthest or n)))))
                fewer, more = generator.permutation(len(symbols))[:2]
                numbers[fewer] -= off
                numbers[more] += off
            texts.append("".join(symbol * k for symbol, k in zip(symbols, numbers, strict=True)))
            labels.append("unequal" if row % 2 else "equal")
        return {"text": texts, "label": labels}

    return {
        "train": draw(rows, 1, trained, None),
        "test": draw(-(-rows // 4), trained + 1, asked, 1),
    }


def adding(steps: int = 100, rows: int = 10_000, seed: int = 0) -> dict[str, Any]:
    """Return series of numbers from 0 to 1, two of them marked, and the sum of those two.

    Each step is a number and its marker, 0 or 1; each half of a series has one marker. Always
    predicting 1 has a mean squared error of 1/6; remembering only the second number, half of that.

    Args:
        steps: Length of a series.
        rows: Number of series.
        seed: Random seed.

    Raises:
        UsageError: If there are fewer than two steps.

    Sources:
        Hochreiter & Schmidhuber (1997), https://doi.org/10.1162/neco.1997.9.8.1735, section 5.4
        In this form: Le, Jaitly & Hinton (2015), https://arxiv.org/abs/1504.00941, section 4.1
    """
    if steps < 2:
        raise UsageError(f"The option steps of adding is {steps}; give 2 or more.")
    generator = np.random.default_rng(seed)
    series = np.zeros((rows, steps, 2), dtype=np.float32)
    series[..., 0] = generator.random((rows, steps), dtype=np.float32)
    half = steps // 2
    first, second = generator.integers(half, size=rows), generator.integers(half, steps, size=rows)
    every = np.arange(rows)
    series[every, first, 1] = series[every, second, 1] = 1
    return {"X": series, "y": series[every, first, 0] + series[every, second, 0]}


def dates(rows: int = 4000, seed: int = 0) -> dict[str, Any]:
    """Return dates of the years 1900 to 2099, as people write them and in ISO 8601.

    They are in English or French, long or short, with or without the day of the week. Every date
    occurs once.

    Args:
        rows: Number of dates.
        seed: Random seed.

    Raises:
        UsageError: If there are fewer days than ``rows``.
    """
    from babel.dates import format_date

    first, last = date(1900, 1, 1).toordinal(), date(2100, 1, 1).toordinal()
    if rows > last - first:
        raise UsageError(
            f"The option rows of dates is {rows}; there are {last - first:,} days from 1900 to "
            "2099."
        )
    generator = np.random.default_rng(seed)
    days = [date.fromordinal(int(n)) for n in first + generator.permutation(last - first)[:rows]]
    formats = [(kind, code) for kind in ("medium", "long", "full") for code in ("en", "fr")]
    ways = generator.integers(len(formats), size=rows)
    return {
        "source": [format_date(day, *formats[way]) for day, way in zip(days, ways, strict=True)],
        "target": [day.isoformat() for day in days],
    }
