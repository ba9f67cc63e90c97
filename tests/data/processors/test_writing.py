"""Texts that are written: back to the letter, by their own tokenizer or one that was learned."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.backbone import Pretrained
from ensuite.core.options import from_json
from ensuite.data.processors.writing import Writing

TEXTS = ["The cat sat, on the mat.\n", "  and so on; and so on\n"] * 2
UNITS = ["words", "characters", "pieces"]
ANY = some.text(some.characters(exclude_categories=["Cs"]), max_size=30)


def writing(unit: str, **options: int) -> Writing:
    return from_json(Writing, {"unit": unit, **options}).prepare(TEXTS)


@pytest.mark.parametrize("unit", UNITS)
def test_what_was_learned_is_read_and_told_to_the_letter(unit: str) -> None:
    learned = writing(unit)
    for text, (ids, untold) in zip(TEXTS, learned.spell(TEXTS), strict=True):
        assert learned.tell(ids.tolist()) == text
        assert not untold.any()


@given(ANY)
def test_pieces_tell_every_text_and_characters_say_what_they_leave_out(text: str) -> None:
    pieces, characters = PIECES.spell([text])[0], CHARACTERS.spell([text])[0]
    assert not pieces.untold.any()
    assert characters.untold.sum() <= len(text.encode())
    assert (characters.untold > 0).sum() == (characters.ids == 1).sum()


PIECES, CHARACTERS = writing("pieces"), writing("characters")


@pytest.mark.parametrize("unit", UNITS)
def test_the_vocabulary_of_another_run_is_kept(unit: str, tmp_path: Path) -> None:
    theirs = writing(unit)
    (tmp_path / "written-tokenizer.json").write_text(theirs.tokenizer, encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("of what is read, not of this", encoding="utf-8")
    mine = Writing().prepare(["the the the"], Pretrained(tokenizer=tmp_path))
    assert (mine.tokenizer, mine.unit, mine.size) == (theirs.tokenizer, unit, theirs.size)
    assert mine.most == len(mine.encode(["the the the"])[0])


def test_a_name_is_read_by_characters_and_a_sentence_by_pieces() -> None:
    assert Writing().prepare(["anna", "otto"]).unit == "characters"
    assert Writing().prepare(TEXTS).unit == "pieces"
