"""Texts as weighted counts of their words or characters (TF-IDF)."""

import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

Text = str | tuple[str, str]

Counts = Any
"""A sparse matrix, (texts, terms)."""

MANY_TEXTS = 1000
"""Number of texts from which on terms that occur in a single text are left out."""

NO_TERM = "\x00 no term"
"""The only term of a vocabulary that would be empty; it occurs in no text."""


def learn_terms(
    texts: Sequence[Text], *, characters: bool, lowercase: bool, most: int
) -> tuple[NDArray[np.uint8], Counts]:
    """Return the terms of a set of texts, as an array that can be saved, and their counts.

    Args:
        texts: Texts, or pairs of texts, which are joined.
        characters: Whether terms are one to four consecutive characters of a word, instead of one
            or two consecutive words.
        lowercase: Whether upper and lower case are the same.
        most: Most terms that are kept, the most frequent.
    """
    counter = _counter(characters, lowercase)
    counter.set_params(min_df=2 if len(texts) >= MANY_TEXTS else 1, max_features=most)
    try:
        counts = counter.fit_transform(texts)
    except ValueError:  # "empty vocabulary", "no terms remain": blank texts, or nothing shared
        terms = _pack([NO_TERM])
        counter = make_counter(terms, characters=characters, lowercase=lowercase)
        return terms, counter.transform(texts)
    return _pack(counter.get_feature_names_out().tolist()), counts


def make_counter(
    terms: NDArray[np.uint8], *, characters: bool, lowercase: bool
) -> "CountVectorizer":
    """Return a counter of the terms that :func:`learn_terms` found with these options."""
    return _counter(characters, lowercase).set_params(vocabulary=json.loads(terms.tobytes()))


def inverse_document_frequency(counts: Counts) -> NDArray[np.float32]:
    """Return the inverse document frequency of each term, (terms,), as scikit-learn defines it."""
    texts, terms = counts.shape
    texts_with = np.bincount(counts.indices, minlength=terms)
    idf: NDArray[np.float32] = (1 + np.log((1 + texts) / (1 + texts_with))).astype(np.float32)
    return idf


def weigh(counts: Counts, idf: NDArray[np.float32]) -> Counts:
    """Return TF-IDF features, (texts, terms), normalised to length 1.

    The weight of a term is 1 + log(its count), times its inverse document frequency.

    Sources:
        Manning, Raghavan & Schütze (2008), Introduction to Information Retrieval, section 6.4
    """
    features = counts.copy()
    features.data = (1 + np.log(counts.data)) * idf[counts.indices]
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    features.data /= np.sqrt(np.bincount(rows, features.data**2))[rows]
    return features


def _counter(characters: bool, lowercase: bool) -> "CountVectorizer":
    from sklearn.feature_extraction.text import CountVectorizer

    return CountVectorizer(
        preprocessor=partial(_plain, lowercase=lowercase),
        # A word's ends count as characters: in names, 0.77 instead of 0.74 right.
        analyzer="char_wb" if characters else "word",
        ngram_range=(1, 4) if characters else (1, 2),
        # One-letter words and punctuation count: "!" is telling.
        token_pattern=None if characters else r"\w+|[^\w\s]+",
        dtype=np.float32,
    )


def _plain(text: Text, lowercase: bool) -> str:
    """Return a text as the tokenizers of the other candidates read it."""
    joined = normalize("NFC", text if isinstance(text, str) else "\n".join(text))
    return joined.lower() if lowercase else joined


def _pack(terms: list[str]) -> NDArray[np.uint8]:
    """Return terms as an array of bytes: their JSON, which any character survives."""
    return np.frombuffer(json.dumps(terms).encode(), dtype=np.uint8)
