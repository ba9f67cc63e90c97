"""F1 and exact match of extracted answers, as the official script of SQuAD computes them.

Sources:
    Rajpurkar et al. (2016), https://arxiv.org/abs/1606.05250, section 6.1; questions without an
    answer: Rajpurkar, Jia & Liang (2018), https://arxiv.org/abs/1806.03822
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ensuite.core.display import Display
from ensuite.core.score import Score

Language = Literal["english", "french"]

ARTICLES: dict[Language, re.Pattern[str]] = {
    "english": re.compile(r"\b(a|an|the)\b"),
    "french": re.compile(r"\b(le|la|les|l|un|une|des|du|d|au|aux)\b"),
}
"""Words that do not count."""

APOSTROPHES = re.compile("['’]")

PUNCTUATION: dict[Language, str] = {
    "english": string.punctuation,
    "french": string.punctuation + "’«»–—…",
}

F1 = Display(name="F1", points=100)
EXACT = Display(name="exact match", points=100)


def normalise(answer: str, language: Language = "english") -> str:
    """Return an answer in lower case, without punctuation, articles and superfluous blanks.

    In French an apostrophe parts two words.

    >>> normalise("The  cat, sat."), normalise("L’eau d'un puits", "french")
    ('cat sat', 'eau puits')
    """
    lowered = answer.lower()
    if language == "french":
        lowered = APOSTROPHES.sub(" ", lowered)
    kept = "".join(letter for letter in lowered if letter not in PUNCTUATION[language])
    return " ".join(ARTICLES[language].sub(" ", kept).split())


def exact(answer: str, truths: Sequence[str], language: Language = "english") -> float:
    """Return 1 if an answer equals one of the true ones, else 0; no truths: there is no answer."""
    found = normalise(answer, language)
    return float(any(found == normalise(truth, language) for truth in truths or ("",)))


def f1(answer: str, truths: Sequence[str], language: Language = "english") -> float:
    """Return the F1 of the words of an answer, of the true answer that it is nearest to."""
    return max(overlap(answer, truth, language) for truth in truths or ("",))


def overlap(answer: str, truth: str, language: Language) -> float:
    """Return the F1 of the words of an answer and a true one; 1 if both have none.

    >>> overlap("the black cat", "cat", "english")
    0.6666666666666666
    """
    found, true = (normalise(each, language).split() for each in (answer, truth))
    if not found or not true:
        return float(found == true)
    shared = sum((Counter(found) & Counter(true)).values())
    return 2 * shared / (len(found) + len(true))


def scores(
    answers: Sequence[str], truths: Sequence[Sequence[str] | None], language: Language
) -> dict[str, Score]:
    """Return the metrics of answers; where some question has none, of both kinds apart too.

    Args:
        answers: Empty where none was given.
        truths: The true answers of each question; empty where it has none, None if not known.
        language: Whose articles do not count.
    """
    known = np.array([each is not None for each in truths])
    pairs = list(zip(answers, (each or () for each in truths), strict=True))
    f1s = np.array([f1(*pair, language) for pair in pairs])
    exacts = np.array([exact(*pair, language) for pair in pairs])
    has = known & np.array([bool(each) for each in truths])
    found = {
        "f1": Score.mean(f1s, known, display=F1),
        "exact_match": Score.mean(exacts, known, display=EXACT),
    }
    if (known & ~has).any():
        answered = Display(name="F1 where there is an answer", points=100)
        silent = Display(name="accuracy where there is none", points=100)
        found["has_answer_f1"] = Score.mean(f1s, has, display=answered)
        found["no_answer_accuracy"] = Score.mean(f1s, known & ~has, display=silent)
    return found


def best_threshold(
    odds: Sequence[float], answered: Sequence[float], silent: Sequence[float]
) -> float:
    """Return the odds below which no answer is given, so that the mean of the metric is highest.

    Args:
        odds: Of each answer, against there being none.
        answered: The metric of each question if the answer is given.
        silent: The metric if none is given.
    """
    order = np.argsort(odds, kind="stable")
    rising = np.array(odds, dtype=float)[order]
    gain = np.append(0.0, np.cumsum(np.array(silent)[order] - np.array(answered)[order]))
    cuts = np.append(0, 1 + np.flatnonzero(rising[1:] > rising[:-1]))  # equal odds stay together
    cuts = np.append(cuts, len(rising))
    best = int(cuts[np.argmax(gain[cuts])])  # so many are not answered
    if best < len(rising):
        return float(rising[best])
    return float(np.nextafter(rising[-1], np.inf)) if len(rising) else 0.0


def find_language(texts: Sequence[str]) -> Language:
    """Return the language whose articles are more frequent in texts.

    >>> find_language(["Le chat dort sur la table."]), find_language(["The cat sleeps."])
    ('french', 'english')
    """
    words = Counter(word for text in texts for word in re.findall(r"\w+", text.lower()))
    french, english = (
        sum(words[each] for each in some)
        for some in (("le", "la", "les", "des", "du"), ("the", "of", "and"))
    )
    return "french" if french > english else "english"
