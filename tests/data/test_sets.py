"""Built-in sets: what they hold, and that the memory set asks for memory."""

import unicodedata

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ensuite.core.errors import UsageError
from ensuite.data.built_in import SPOKEN
from ensuite.data.sets import SETS, load, names


@pytest.mark.parametrize("name", names())
def test_every_set_is_the_same_each_time(name: str) -> None:
    table = load(name)["train"]
    assert table.name == name
    assert table.rows >= 150
    assert {len(values) for values in table.columns.values()} == {table.rows}
    assert table.fingerprint == load(name)["train"].fingerprint
    assert all((SETS[name].caption, SETS[name].source, SETS[name].licence))


def test_digits_and_iris() -> None:
    digits = load("digits")["train"]
    assert np.shape(digits.columns["X"]) == (1797, 8, 8)
    assert sorted(set(digits.columns["y"])) == list("0123456789")
    iris = load("iris")["train"]
    assert list(iris.columns)[-1] == "label"
    assert sorted(set(iris.columns["label"])) == ["setosa", "versicolor", "virginica"]


def test_names_belong_to_one_language() -> None:
    columns = load("names")["train"].columns
    assert len(set(columns["text"])) == len(columns["text"]) > 4000
    assert all(unicodedata.is_normalized("NFC", name) for name in columns["text"])
    assert len(set(columns["label"])) == 10
    pairs = dict(zip(columns["text"], columns["label"], strict=True))
    assert pairs["Deutschland"] == "German"
    assert "Peru" not in pairs  # as it is called in several


@pytest.mark.parametrize("words", [0, 1, 20, 52])
def test_memory_keeps_the_answer_so_many_words_away(words: int) -> None:
    columns = load(f"memory:words={words},rows=50")["train"].columns
    for text, label in zip(columns["text"], columns["label"], strict=True):
        found = text.split()
        assert len(found) == 8 + 2 * 12 + words + 4  # birth, two others, fillers, question
        assert SPOKEN[found[4].rstrip(",")] == label
        assert text.endswith(" Je parle couramment le")
        assert sum(text.count(f"Je suis né en {country},") for country in SPOKEN) == 3


def test_counting_words_does_not_solve_memory() -> None:
    columns = load("memory")["train"].columns
    texts, labels = columns["text"], columns["label"]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 3)), LogisticRegression(max_iter=1000))
    model.fit(texts[:3000], labels[:3000])
    assert 0.25 < model.score(texts[3000:], labels[3000:]) < 0.42  # one in three countries


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("digit", r"did you mean digits\? They are: digits, iris, names, memory"),
        ("memory:word=3", r"did you mean words\? It has: words, rows, seed"),
        ("iris:words=3", "It has: none"),
        ("memory:words", "write it as words=NUMBER"),
        ("memory:words=many", "write it as words=NUMBER"),
        ("memory:words=-1", "give a larger number"),
        ("memory:rows=0", "give a larger number"),
    ],
)
def test_wrong_words_are_told(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load(spec)
