"""Documents to ids: words are the same for every tokenizer, windows keep within documents."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.backbone import Pretrained
from ensuite.core.errors import UsageError
from ensuite.core.files import write_text
from ensuite.core.options import from_json, to_json
from ensuite.data.processors.documents import (
    DOCUMENT,
    FLAGS,
    ID,
    SENTENCE,
    UNTOLD,
    WORD,
    Documents,
    word_starts,
)
from ensuite.data.processors.text import Text
from ensuite.data.prose import lines_of

TEXTS = ["Le chat est doux. Il dort !\nLe chien court.", "L'été, 3 oiseaux chantent.", "Été"] * 3
ANY = some.text(some.characters(exclude_categories=["Cs"]), max_size=30)
UNITS = ("words", "characters", "pieces")
READERS = {unit: Documents(unit=unit, min_frequency=1).prepare(TEXTS) for unit in UNITS}


@pytest.mark.parametrize("unit", UNITS)
@given(texts=some.lists(ANY, min_size=1, max_size=4))
def test_lines_begin_sentences_and_words(unit: str, texts: list[str]) -> None:
    for text, ids in zip(texts, READERS[unit].encode(texts), strict=True):
        assert ids.shape[1] == 3
        assert (ids[:, ID] < READERS[unit].size).all()
        if lines_of(text) and unit == "characters":
            assert ids[0, FLAGS] & (WORD | SENTENCE) == WORD | SENTENCE
        sentences = (ids[:, FLAGS] & SENTENCE) > 0
        assert ((ids[:, FLAGS] & WORD) > 0)[sentences].all()
        assert not (ids[:, FLAGS] & DOCUMENT).any()


@given(ANY)
def test_words_do_not_depend_on_the_tokenizer(text: str) -> None:
    counts = [
        int((READERS[unit].encode([text])[0][:, FLAGS] & WORD).sum())
        for unit in ("characters", "pieces")
    ]
    composed = [line for line in lines_of(text) if line.isascii()]
    if composed == lines_of(text):
        assert counts[0] == counts[1]


def test_a_word_is_a_run_of_letters_or_a_mark() -> None:
    line = "L'été, 30 m."
    starts = word_starts(line, np.arange(len(line)))
    assert [line[start] for start in starts[starts >= 0]] == ["L", "'", "é", ",", "3", "m", "."]


def test_what_an_unknown_token_leaves_out_is_counted() -> None:
    words = READERS["words"].encode(["Le koala dort"])[0]
    assert words[:, UNTOLD].tolist() == [0, 5, 0]
    assert not READERS["pieces"].encode(["Le koala dort"])[0][:, UNTOLD].any()


def test_windows_stop_where_a_document_ends() -> None:
    within = Documents(unit="words", min_frequency=1, borders="blank").prepare(TEXTS)
    found = within.windows(["Le chat\n\nLe chien court\nIl dort", "Il dort"], 4)
    assert found.pieces.lengths.tolist() == [2, 4, 1, 2]
    assert found.texts.tolist() == [0, 0, 0, 1]
    assert found.documents.tolist() == [0, 1, 1, 2]
    whole = READERS["words"].windows(["Le chat\n\nLe chien", "", "Il"], 4)
    assert whole.pieces.lengths.tolist() == [4, 1]
    assert whole.texts.tolist() == [0, 2]


@pytest.mark.parametrize("unit", UNITS)
def test_a_mask_token_stands_for_one_token(unit: str) -> None:
    reader = READERS[unit]
    ids = reader.question("Le [MASK] est [MASK].")
    assert (ids == reader.mask_id).sum() == 2
    whole = reader.encode(["Le chat est doux."])[0][:, ID]
    others = np.isin(whole, ids)
    if unit != "characters":
        assert others.sum() == len(whole) - 2
        assert np.array_equal(whole[others], ids[ids != reader.mask_id])


def test_what_looks_like_a_mask_token_in_a_text_is_text() -> None:
    for reader in READERS.values():
        assert reader.mask_id not in reader.encode(["Le [MASK] est"])[0][:, ID]


def test_rows_are_framed_as_bert_does() -> None:
    reader = READERS["words"]
    first, second = (ids[:, ID] for ids in reader.encode(["Le chat", "Il dort ici"]))
    layout = reader.lay_out([(first, None), (first, second), (first[:0], None)])
    pad, _, cls, separator, _ = range(5)
    assert layout.tokens[0].tolist() == [cls, *first, separator, pad, pad, pad, pad]
    assert layout.tokens[1].tolist() == [cls, *first, separator, *second, separator]
    assert layout.segments[1].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert layout.places[1].tolist() == [-1, 0, 1, -1, 2, 3, 4, -1]
    assert layout.mask.sum(1).tolist() == [4, 8, 2]
    assert reader.room(pairs=True) == 125


def test_ordinary_tokens_are_found_once_and_cannot_be_changed() -> None:
    reading = READERS["words"]
    ordinary = reading.ordinary
    assert {*range(reading.size)} - {*ordinary.tolist()} == {*reading.special} - {None}
    assert reading.ordinary is ordinary
    assert READERS["pieces"].ordinary is not ordinary
    with pytest.raises(ValueError, match="read-only"):
        ordinary[0] = 1


def test_a_tokenizer_without_a_mask_token_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "tokenizer.json", Text(unit="words").prepare(TEXTS).tokenizer)
    with pytest.raises(UsageError, match="has no mask token"):
        Documents().prepare(TEXTS, Pretrained(tmp_path))


def test_a_run_keeps_the_tokenizer_it_starts_from(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    saved = to_json(READERS["words"], files)
    assert from_json(Documents, saved, files) == READERS["words"]
    write_text(tmp_path / "tokenizer.json", files["tokenizer.json"])
    kept = Documents().prepare(["other words"], Pretrained(tmp_path, length=32))
    assert (kept.tokenizer, kept.window) == (READERS["words"].tokenizer, 32)
    assert kept.special._replace(start=None, end=None) == READERS["words"].special
    text = Text().prepare(["other words"], Pretrained(tmp_path))
    (window,) = text.windows(["Le chat"])[0]
    assert text.to_tokens(window) == ("[CLS]", "Le", "chat", "[SEP]")


@pytest.mark.parametrize("options", [{"window": 7}, {"vocabulary_size": 3}, {"min_frequency": 0}])
def test_options_are_checked(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Documents(**options)  # type: ignore[arg-type]
