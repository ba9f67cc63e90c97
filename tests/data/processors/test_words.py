"""Sentences to ids: no word is lost or split anew, nothing depends on neighbours."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.options import from_json, to_json
from ensuite.core.presentation import Finding
from ensuite.data.processors.tokenizer import load_tokenizer
from ensuite.data.processors.words import LONGEST_WORD, UNKNOWN, Sentence, Words, composed

SENTENCES: list[Sentence] = [
    ("Marie", "lives", "in", "the", "U.S.", "."),
    ("The", "dog", "does", "n't", "live", "in", "Paris", "."),
    ("l'", "Europe", ",", "the", "dog", "and", "in", "3.14"),
]
WORDS = Words().prepare(SENTENCES)
WORD = some.text(max_size=40)  # anything, half a surrogate pair included
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_vectors(text: str) -> Path:
        path = tmp_path / "vectors.txt"
        path.write_text(text, encoding="utf-8")
        return path

    return write_vectors


def identify(words: Words, *sentence: str) -> list[int]:
    ids: list[int] = words.encode([sentence])[0][:, 0].tolist()
    return ids


@given(some.lists(some.lists(WORD, max_size=6).map(tuple), min_size=1, max_size=5))
def test_any_words_have_ids_that_do_not_depend_on_neighbours(raws: list[Sentence]) -> None:
    for words in (WORDS, Words().prepare(raws), Words(lowercase=True).prepare(raws)):
        together = words.encode(raws)
        assert [len(rows) for rows in together] == [max(1, len(raw)) for raw in raws]
        for raw, rows in zip(raws, together, strict=True):
            assert np.array_equal(rows, words.encode([raw])[0])
            assert (rows[:, 0] >= 1).all()  # padding is no word
            assert (rows[:, 0] < words.size).all()
        batch = words.collate(together)
        assert int(batch.inputs["characters"].max()) < len(words.alphabet) + 2
        assert from_json(Words, *saved(words)) == words


def saved(words: Words) -> tuple[object, dict[str, str]]:
    files: dict[str, str] = {}
    return to_json(words, files), files


@given(some.text(max_size=60))
def test_splitting_a_text_loses_nothing_but_white_space(text: str) -> None:
    assert "".join(WORDS.split(text)) == "".join(composed(text).split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Marie lives in the U.S., now.", "Marie lives in the U.S. , now ."),
        ("Peter doesn't see l'Europe", "Peter doesn ' t see l' Europe"),
        ("DOES N'T cost 1,234.50", "DOES N'T cost 1,234.50"),
        ("e-mail (to: a_b)", "e - mail ( to : a_b )"),
        ("", ""),
    ],
)
def test_a_typed_text_is_split_as_training_was(text: str, expected: str) -> None:
    assert " ".join(WORDS.split(text)) == expected


def test_combining_marks_stay_with_their_letter() -> None:
    assert WORDS.split("cafe\u0301 \u0928\u093f") == ("caf\u00e9", "\u0928\u093f")


def test_a_word_is_looked_up_as_it_stands_then_in_lower_case() -> None:
    the, capital, dog = identify(WORDS, "the", "The", "DOG")
    assert len({the, capital, UNKNOWN}) == 3
    assert [dog] == identify(WORDS, "dog")
    assert identify(WORDS, "Dog!", "marie") == [UNKNOWN, UNKNOWN]
    lower = Words(lowercase=True).prepare(SENTENCES)
    assert len({*identify(lower, "the", "The", "THE")} - {UNKNOWN}) == 1
    assert identify(WORDS, "caf\u00e9") == identify(WORDS, "cafe\u0301")


def test_a_word_written_like_a_special_one_is_a_word_unknown() -> None:
    words = Words().prepare([("[PAD]", "[UNK]", "[PAD]")])
    assert identify(words, "[PAD]", "[UNK]") == [UNKNOWN, UNKNOWN]


def test_the_most_frequent_words_are_kept() -> None:
    words = Words(vocabulary_size=4).prepare(SENTENCES)
    assert words.size == 4
    assert sorted(load_tokenizer(words.tokenizer).get_vocab()) == [".", "[PAD]", "[UNK]", "in"]


def test_only_words_seen_once_are_hidden_and_about_half_of_them() -> None:
    tokens = torch.tensor([identify(WORDS, "Marie", "in")]).repeat(1000, 1)
    hidden = WORDS.hide({"tokens": tokens})["tokens"]
    assert torch.equal(hidden[:, 1], tokens[:, 1])
    assert set(hidden[:, 0].tolist()) == {UNKNOWN, int(tokens[0, 0])}
    assert 400 < int((hidden[:, 0] == UNKNOWN).sum()) < 600


def test_a_batch_has_the_spelling_of_each_word() -> None:
    batch = WORDS.collate(WORDS.encode([("in", "Paris"), ("the",)]))
    characters = batch.inputs["characters"]
    assert characters.shape == (2, 2, 5)
    assert (characters > 0).sum(2).tolist() == [[2, 5], [3, 0]]
    assert batch.mask is not None and batch.mask.tolist() == [[True, True], [True, False]]
    alphabet = dict(enumerate(WORDS.alphabet, 2))
    assert "".join(alphabet[letter] for letter in characters[0, 1].tolist()) == "Paris"


def test_the_spelling_can_be_left_out() -> None:
    words = Words(letters=False).prepare(SENTENCES)
    assert set(words.inputs) == set(words.collate(words.encode(SENTENCES)).inputs) == {"tokens"}


def test_only_the_spelling_of_long_words_is_cut() -> None:
    long = "a" * 2 * LONGEST_WORD
    words = Words().prepare([(long, long, "b")])
    assert identify(words, long) != [UNKNOWN]
    assert words.collate(words.encode([(long,)])).inputs["characters"].shape[2] == LONGEST_WORD
    assert words.check([(long, long, "b")])[-1] == Finding(
        "characters", "only the first 30 characters of a word are read (1 words are longer)"
    )


@given(some.integers(1, 12), some.data())
def test_windows_read_every_word_and_overlap_as_said(window: int, data: some.DataObject) -> None:
    overlap = data.draw(some.integers(0, window - 1))
    length = data.draw(some.integers(1, 60))
    spans = Words(window=window, overlap=overlap).spans(("x",) * length)
    assert spans[0][0] == 0 and spans[-1][1] == length
    assert all(0 < end - start <= window for start, end in spans)
    assert all(one[1] - other[0] == overlap for one, other in pairwise(spans))


@pytest.mark.parametrize("wrong", [{"window": 0}, {"overlap": -1}, {"vocabulary_size": 2}])
def test_options_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Words(**wrong)  # type: ignore[arg-type]


def test_what_the_check_says() -> None:
    said = WORDS.check([("a",) * 4, ("b",) * 600, ()])
    assert said == [
        Finding(
            "sentences",
            "median 4 words, 95 % within 600, longest 600; "
            "1 are read in windows of 512, nothing will be cut",
        ),
        Finding("empty", "sentences without a word: 1"),
    ]


class TestVectors:
    def test_words_start_from_their_vector_or_from_that_in_lower_case(self, write: Write) -> None:
        path = write("the 1 2\nparis 3 4\nzebra 5 6\nyak 7 8\n")
        words = Words(vectors=path, vocabulary_size=WORDS.size + 2).prepare(SENTENCES)
        tokens = words.inputs["tokens"]
        assert tokens.width == 2 and tokens.size == WORDS.size + 2  # type: ignore[union-attr]
        ids = identify(words, "the", "The", "Paris", "zebra", "yak")
        assert ids[4] == UNKNOWN  # the vocabulary was full
        vectors = tokens.vectors[ids[:4]].tolist()  # type: ignore[union-attr, index]
        assert vectors == [[1, 2], [1, 2], [3, 4], [5, 6]]
        assert words.covered == 3
        assert words.check(SENTENCES)[-1].sentence == (
            f"vectors.txt has 3 of the {WORDS.size - 2} training words; 2 numbers each"
        )

    def test_a_word_of_the_file_alone_is_never_hidden(self, write: Write) -> None:
        words = Words(vectors=write("zebra 5 6\n")).prepare(SENTENCES)
        tokens = torch.tensor([identify(words, "zebra")] * 100)
        assert torch.equal(words.hide({"tokens": tokens})["tokens"], tokens)

    def test_a_saved_run_does_not_need_the_file(self, write: Write) -> None:
        path = write("the 1 2\n")
        words = Words(vectors=path).prepare(SENTENCES)
        path.unlink()
        again = from_json(Words, *saved(words))
        assert again == words
        assert again.inputs == replace(words, matrix=None).inputs
        assert again.inputs["tokens"].width == 2

    def test_prepared_twice_is_prepared_once(self, write: Write) -> None:
        words = Words(vectors=write("the 1 2\nThe 3 4\n")).prepare(SENTENCES)
        again = words.prepare(SENTENCES)
        assert again == words
        assert again.matrix is not None and words.matrix is not None
        assert torch.equal(again.matrix, words.matrix)
