"""Built-in sets: what they hold, and that they ask for what they are there for."""

import re
import unicodedata
from itertools import groupby

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from ensuite.core.errors import UsageError
from ensuite.data.built_in import DIGITS, SPOKEN
from ensuite.data.sets import SETS, WHOLE, load, names, settings
from ensuite.problem import open_problem


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


def test_a_set_may_be_read_in_another_way_by_one_task() -> None:
    assert settings("digits", "reduce") == {"input": "image"}
    assert settings("digits", "classify") == {}
    assert settings("anbn:rows=10", "classify") == WHOLE
    assert settings("digits.csv", "reduce") == {}


def test_digits_side_by_side_are_captioned_in_words() -> None:
    parts = load("digit-captions:rows=60")
    assert {name: table.rows for name, table in parts.items()} == {"train": 60, "test": 15}
    columns = parts["train"].columns
    assert np.shape(columns["image"]) == (60, 8, 32)
    for picture, text in zip(columns["image"], columns["text"], strict=True):
        assert 1 <= len(text.split()) <= 4
        inked = np.flatnonzero(np.asarray(picture).any(0))
        assert inked[-1] - inked[0] < 8 * len(text.split())
    french = load("digit-captions:rows=60,french=1")["train"].columns
    assert np.array_equal(french["image"], columns["image"])
    pairs = {pair for one, other in zip(columns["text"], french["text"], strict=True)
             for pair in zip(one.split(), other.split(), strict=True)}  # fmt: skip
    assert pairs == set(zip(DIGITS["en"], DIGITS["fr"], strict=True))


def test_captions_are_tested_on_digits_never_trained_with() -> None:
    alone: dict[str, set[bytes]] = {}
    for name, table in load("digit-captions").items():
        pairs = zip(table.columns["image"], table.columns["text"], strict=True)
        digits = [np.asarray(picture) for picture, text in pairs if " " not in text]
        inked = [np.flatnonzero(digit.any(0)) for digit in digits]
        alone[name] = {
            digit[:, ink[0] : ink[-1] + 1].tobytes()
            for digit, ink in zip(digits, inked, strict=True)
        }
    assert len(alone["train"]) > 300
    assert not alone["train"] & alone["test"]


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


def score_of_ngrams(columns) -> float:
    """Return the accuracy of counted n-grams on the last quarter of the rows."""
    texts, labels = columns["text"], columns["label"]
    rows = 3 * len(texts) // 4
    ngrams = TfidfVectorizer(analyzer="char", ngram_range=(1, 4))
    model = make_pipeline(ngrams, LogisticRegression(max_iter=1000))
    model.fit(texts[:rows], labels[:rows])
    return model.score(texts[rows:], labels[rows:])


# Reber's graph as a regular expression: the two ways in, and what may follow its fourth state.
AFTER_X = "(XT*VP)*(S|XT*VV)"
EMBEDDED = re.compile(f"B(?P<second>.)B(TS*X{AFTER_X}|PT*V(V|P{AFTER_X}))E(?P<last>.)E")


@pytest.mark.parametrize("between", [8, 10, 60])
def test_reber_strings_are_grammatical_but_for_one_symbol(between: int) -> None:
    columns = load(f"reber:between={between},rows=402")["train"].columns
    texts = columns["text"]
    assert len(set(texts)) == len(texts) == 402
    for text, label in zip(texts, columns["label"], strict=True):
        found = EMBEDDED.fullmatch(text)
        assert found is not None
        assert (label == "grammatical") == (found["second"] == found["last"])
        assert between <= len(text) - 4 <= 2 * between


def test_ngrams_do_not_solve_reber() -> None:
    assert score_of_ngrams(load("reber")["train"].columns) < 0.55


@pytest.mark.parametrize("symbols", ["ab", "abc"])
def test_counts_are_equal_or_one_is_wrong(symbols: str) -> None:
    tables = load({"ab": "anbn", "abc": "anbncn"}[symbols])
    assert {part: table.rows for part, table in tables.items()} == {"train": 4000, "test": 1000}
    for part, smallest, largest in (("train", 1, 50), ("test", 51, 500)):
        columns, numbers = tables[part].columns, []
        for text, label in zip(columns["text"], columns["label"], strict=True):
            runs = {symbol: len(list(run)) for symbol, run in groupby(text)}
            assert "".join(symbol * k for symbol, k in runs.items()) == text
            counts = sorted(runs.get(symbol, 0) for symbol in symbols)
            assert (label == "equal") == (counts[0] == counts[-1])
            assert len(text) % len(symbols) == 0  # the length does not tell
            if label == "unequal" and part == "test":
                assert counts[-1] - counts[0] == 2
            numbers += counts if label == "equal" else []
        assert smallest <= min(numbers) <= smallest + 5
        assert largest - 5 <= max(numbers) <= largest


def test_texts_that_are_counted_are_read_whole() -> None:
    whole = open_problem("classify", "anbn:rows=40")
    assert "longest" in str(whole.findings)
    assert "nothing will be cut" in str(whole.findings)
    assert len(whole.parts["test"]) == 10
    cut = open_problem("classify", "anbn:rows=40", settings={"window": "100"})
    assert "are read in windows of 100" in str(cut.findings)  # what the user sets, holds


def test_adding_marks_a_number_in_either_half_and_asks_for_their_sum() -> None:
    columns = load("adding:steps=9,rows=500")["train"].columns
    numbers, marks = np.moveaxis(np.asarray(columns["X"]), -1, 0)
    assert marks[:, :4].sum(1).tolist() == marks[:, 4:].sum(1).tolist() == [1.0] * 500
    assert set(np.unique(marks)) == {0, 1}
    assert 0 <= numbers.min() < 0.01 < 0.99 < numbers.max() < 1
    assert columns["y"] == pytest.approx((numbers * marks).sum(1))
    assert np.mean((columns["y"] - 1) ** 2) == pytest.approx(1 / 6, rel=0.1)  # always guessing 1
    assert set(marks.argmax(1)) == {0, 1, 2, 3}  # every place is marked in turn


def test_dates_are_written_as_people_do_and_in_figures() -> None:
    columns = load("dates:rows=500,seed=1")["train"].columns
    assert len(set(columns["target"])) == 500
    assert columns["target"] != load("dates:rows=500")["train"].columns["target"]
    assert all(re.fullmatch(r"(19|20)\d\d-[01]\d-[0-3]\d", day) for day in columns["target"])
    written = dict(zip(columns["target"], columns["source"], strict=True))
    assert all(str(int(day[:4])) in source for day, source in written.items())
    for word in ("lundi", "Monday,", " août ", "August", "Aug "):  # all the ways, both languages
        assert any(word in source for source in columns["source"])


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("digit", r"did you mean digits\? They are: digits, iris, names, memory, "),
        ("memory:word=3", r"did you mean words\? It has: words, rows, seed"),
        ("iris:words=3", "It has: none"),
        ("memory:words", "write it as words=NUMBER"),
        ("memory:words=many", "write it as words=NUMBER"),
        ("memory:words=-1", "give a larger number"),
        ("memory:rows=0", "give a larger number"),
        ("memory:rows=99999999999", "rows of memory is 99,999,999,999; give 1,000,000 at most"),
        ("memory:seed=99999999999", "give 4,294,967,295 at most"),
        ("adding:steps=1", "give 2 or more"),
        ("dates:rows=80000", "rows of dates is 80000; there are 73,049 days from 1900"),
        ("reber:between=5", "172 strings with 5 to 10 symbols between; ask for fewer"),
        ("anbn:trained=50,asked=50", "ask more than that"),
        ("anbncn:trained=0", "ask more than that"),
    ],
)
def test_wrong_words_are_told(spec: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        load(spec)
