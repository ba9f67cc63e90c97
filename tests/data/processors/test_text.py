"""Texts to ids: nothing is lost unsaid, nothing depends on neighbours."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.backbone import Pretrained
from ensuite.core.errors import RunError
from ensuite.core.options import from_json, to_json
from ensuite.core.presentation import Ledger
from ensuite.data.encoded import Ids, flat
from ensuite.data.encoded import cut as split
from ensuite.data.processors.text import Text, TextCoder
from ensuite.data.processors.tokenizer import choose_unit, load_tokenizer

TEXTS = ["The good, the bad and the ugly.", "the good film and the bad film"] * 2
WORDS = Text(unit="words", min_frequency=1).prepare(TEXTS)
UNKNOWN, SEPARATOR = WORDS.special.unknown, WORDS.special.separator
ANY = some.text(some.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize("unit", ["words", "characters", "pieces"])
@given(texts=some.lists(ANY, min_size=1, max_size=5), other=some.lists(ANY, max_size=5))
def test_ids_are_known_and_do_not_depend_on_neighbours(
    unit: str, texts: list[str], other: list[str]
) -> None:
    text = from_json(Text, {"unit": unit}).prepare(TEXTS)
    size = text.inputs["tokens"].size
    for ids, among in zip(text.encode(texts), text.encode(texts + other), strict=False):
        assert np.array_equal(ids, among)
        assert 1 <= ids.min() <= ids.max() < size  # padding is no text


@given(some.integers(1, 12), some.data())
def test_windows_read_every_id_and_overlap_as_said(window: int, data: some.DataObject) -> None:
    overlap = data.draw(some.integers(0, window - 1))
    length = data.draw(some.integers(1, 60))
    ids = np.arange(length, dtype=np.int32)
    (cut,) = split(flat([ids]), window, overlap)
    assert np.array_equal(np.unique(np.concatenate(cut)), ids)
    assert all(len(each) <= window for each in cut)
    assert all(b[0] == a[-1] + 1 - overlap for a, b in pairwise(cut))
    assert len(cut) == 1 or len(cut[-1]) > overlap  # no window says only what another has said


def test_a_cut_is_counted() -> None:
    head = Text(unit="words", window=4, overlap=0, truncation="head").prepare(TEXTS)
    tail = Text(unit="words", window=4, overlap=0, truncation="tail").prepare(TEXTS)
    long = "the good film and the bad film"
    (whole,) = WORDS.encode([long])
    assert [window.tolist() for window in head.windows([long])[0]] == [whole[:4].tolist()]
    assert [window.tolist() for window in tail.windows([long])[0]] == [whole[-4:].tolist()]
    assert head.ledger([long, "film"]) == Ledger(1, 3, 8)
    assert WORDS.ledger([long, "film"]) == Ledger(0, 0, 8)
    (finding,) = head.check([long, "film"])
    assert "1 (50.0 %) are cut to the head 4: 37.5 % of all text" in finding.sentence


def test_pairs_are_told_apart() -> None:
    (ids,) = WORDS.encode([("the good", "the bad")])
    assert ids.tolist().count(SEPARATOR) == 1
    assert WORDS.show(("a", "b")) == "a | b"


def test_what_is_empty_or_unknown_has_an_id() -> None:
    assert [ids.tolist() for ids in WORDS.encode(["", "zebra"])] == [[UNKNOWN], [UNKNOWN]]
    assert WORDS.check(["", " ", "film"])[-1].sentence == "2 texts are empty or blank"


def test_accents_are_the_same_however_typed() -> None:
    text = Text(unit="characters").prepare(["café"])
    composed, apart = text.encode(["caf\u00e9", "cafe\u0301"])
    assert np.array_equal(composed, apart)


def test_the_unit_follows_the_texts() -> None:
    assert choose_unit(["Paris", "New York"]) == "characters"
    assert choose_unit(["it is a good film", "no", "this one is bad"]) == "words"
    assert Text().prepare(TEXTS).unit == "words"


def test_rare_words_are_unknown_and_capitals_count_only_for_characters() -> None:
    text = Text(unit="words").prepare([*TEXTS, "zebra"])
    assert [ids.tolist() for ids in text.encode(["zebra"])] == [[UNKNOWN]]
    assert np.array_equal(*text.encode(["Good", "good"]))
    assert Text(unit="characters").prepare(["Aa"]).lowercase is False


@pytest.mark.parametrize("wrong", [{"window": 0}, {"overlap": -1}, {"vocabulary_size": 3}])
def test_options_that_cannot_be_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Text(**wrong)  # type: ignore[arg-type]


def test_it_is_saved_with_its_tokenizer() -> None:
    files: dict[str, str] = {}
    written = to_json(WORDS, files)
    assert "tokenizer" not in written
    assert from_json(Text, written, files) == WORDS
    with pytest.raises(RunError, match=r"tokenizer\.json is missing or damaged"):
        load_tokenizer("{}")


def test_a_batch_marks_what_is_real() -> None:
    batch = WORDS.collate([np.array([3, 4, 5]), np.array([6])])
    assert batch.inputs["tokens"].tolist() == [[3, 4, 5], [6, 0, 0]]
    assert batch.mask is not None
    assert batch.mask.tolist() == [[True, True, True], [True, False, False]]


@pytest.mark.parametrize("unit", ["words", "characters", "pieces"])
def test_a_tokenizer_learned_elsewhere_is_kept(unit: str, tmp_path: Path) -> None:
    theirs = from_json(Text, {"unit": unit, "min_frequency": 1}).prepare(TEXTS)
    (tmp_path / "tokenizer.json").write_text(theirs.tokenizer, encoding="utf-8")
    mine = Text().prepare(["other words entirely"], Pretrained(tokenizer=tmp_path))
    assert (mine.tokenizer, mine.unit, mine.inputs) == (theirs.tokenizer, unit, theirs.inputs)
    assert mine.encode(TEXTS[:1])[0].tolist() == theirs.encode(TEXTS[:1])[0].tolist()


def test_a_checkpoint_without_a_tokenizer_has_one_learned(tmp_path: Path) -> None:
    for pretrained in (Pretrained(tokenizer=tmp_path), Pretrained()):
        assert Text(unit="words").prepare(TEXTS, pretrained) == Text(unit="words").prepare(TEXTS)


def test_check_ledger_windows_and_a_second_preparation_encode_each_text_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    encode = TextCoder.__call__

    def count(self: TextCoder, texts: Sequence[str]) -> list[Ids]:
        asked.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TextCoder, "__call__", count)
    texts = [f"once and only once number {number}" for number in range(30)]
    for _ in range(2):  # as two candidates do
        text = Text(unit="words", min_frequency=1, window=4, overlap=0).prepare(texts)
        text.check(texts)
        text.windows(texts[:20])
        text.windows(texts[20:])
        text.ledger(texts)
    assert sorted(asked) == sorted(texts)


def test_offsets_are_those_of_the_original_text() -> None:
    text = "The  bad café"
    (places,) = WORDS.offsets([text])
    assert [text[start:end] for start, end in places] == ["The", "bad", "café"]
    assert len(places) == WORDS.encode([text]).lengths[0]
    assert WORDS.offsets([""])[0].tolist() == [[0, 0]]
