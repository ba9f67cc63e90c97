"""Texts that are written: back to the letter, by their own tokenizer or one that was learned."""

import json
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ensuite.core.backbone import Pretrained
from ensuite.core.options import from_json
from ensuite.data.processors.tokenizer import token_bytes
from ensuite.data.processors.writing import Writing
from ensuite.models.weights.llama2c import Piece, tokenizer_of
from ensuite.tasks.generate import Generate

TEXTS = ["The cat sat, on the mat.\n", "  and so on; and so on\n"] * 2
UNITS = ["words", "characters", "pieces"]
ANY = some.text(some.characters(exclude_categories=["Cs"]), max_size=30)


def writing(unit: str, **options: int) -> Writing:
    return from_json(Writing, {"unit": unit, **options}).prepare(TEXTS)


@pytest.mark.parametrize("unit", UNITS)
def test_what_was_learned_is_read_and_told_to_the_letter(unit: str) -> None:
    learned = writing(unit)
    for text, ids in zip(TEXTS, learned.encode(TEXTS), strict=True):
        assert learned.decode_piece(ids.tolist()) == text
    spelled = learned.spell(TEXTS).ids
    assert spelled.ndim == (2 if unit == "words" else 1)
    assert unit != "words" or not spelled[:, 1].any()


@pytest.mark.parametrize("unit", ["characters", "pieces"])
@given(text=ANY)
def test_every_text_is_told_to_the_letter_by_characters_and_pieces(unit: str, text: str) -> None:
    learned = {"characters": CHARACTERS, "pieces": PIECES}[unit]
    ids = learned.encode([text])[0].tolist()
    assert learned.decode_piece(ids) == normalize("NFC", text)
    assert not set(ids) & set(learned.special)


@given(ANY)
def test_words_say_how_many_bytes_they_leave_out(text: str) -> None:
    spelled = WORDS.spell([text])[0]
    assert spelled[:, 1].sum() <= len(text.encode())
    assert ((spelled[:, 1] > 0) == (spelled[:, 0] == WORDS.special.unknown)).all()


PIECES, CHARACTERS, WORDS = writing("pieces"), writing("characters"), writing("words")


@pytest.mark.parametrize("unit", UNITS)
def test_a_text_that_spells_a_special_token_is_text(unit: str) -> None:
    learned = writing(unit)
    ids = learned.encode(["[SEP] and [PAD]"])[0].tolist()
    assert not set(ids) & {learned.special.pad, learned.special.separator}


def test_the_bytes_come_after_the_characters_and_are_written_only_where_they_were_learned() -> None:
    learned = sorted({*"".join(TEXTS)})
    assert (CHARACTERS.kinds, CHARACTERS.size) == (3 + len(learned), 3 + len(learned) + 256)
    assert max(CHARACTERS.encode(TEXTS)[0]) < CHARACTERS.kinds
    assert {*range(CHARACTERS.kinds, CHARACTERS.size)} < {*CHARACTERS.suppressed}
    few = writing("characters", vocabulary_size=5)  # some characters of training are in bytes
    assert few.spelled
    assert few.decode_piece(few.encode(TEXTS)[0].tolist()) == TEXTS[0]
    assert few.suppressed == (0, 1)


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


@pytest.mark.parametrize("unit", ["characters", "words", "pieces"])
@given(text=some.text(alphabet=some.sampled_from("abc déß.,\n日本🙂"), max_size=30))
@settings(max_examples=25, deadline=None)
def test_the_bytes_of_the_tokens_are_those_of_the_text(unit: Any, text: str) -> None:
    writing = Writing(unit=unit, vocabulary_size=300).prepare(["a b c d, é ß.\n", "日本 🙂 abcd"])
    (ids,) = writing.encode([text])
    if unit == "words" and writing.special.unknown in ids:
        return
    spelled = token_bytes(writing.tokenizer)
    assert b"".join(spelled[token] for token in ids) == normalize("NFC", text).encode()


def test_tokens_that_are_never_written_have_no_bytes() -> None:
    writing = Writing(unit="characters").prepare(["abc"])
    spelled = writing.spelled_tokens
    assert [token for token in (*writing.suppressed, writing.end) if spelled[token]] == []
    assert {each for each in spelled if each} == {b"a", b"b", b"c"}


def test_special_tokens_stand_by_their_names_where_they_are_asked_for() -> None:
    writing = Writing(unit="characters").prepare(["abc[SEP]"])
    assert writing.edge_names == ("[SEP]", "[SEP]")
    marked = writing.encode_marked("a[SEP]b")
    assert len(marked) == 3
    assert marked[1] == writing.start
    (plain,) = writing.encode(["a[SEP]b"])
    assert len(plain) == 7


def test_tokens_that_were_added_stand_for_their_text() -> None:
    from tokenizers import AddedToken, Tokenizer

    learned = Tokenizer.from_str(Writing(unit="pieces").prepare(["a b"]).tokenizer)
    learned.add_tokens(["  \n"])
    learned.add_special_tokens([AddedToken("<|x|>")])
    spelled = token_bytes(learned.to_str())
    assert spelled[learned.token_to_id("  \n")] == b"  \n"
    assert spelled[learned.token_to_id("<|x|>")] == b""


def llama(folder: Path) -> Writing:
    """Return what a published tokenizer of SentencePiece's kind makes of a text."""
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    learned = {"▁": -9.0, "a": -9.0, "b": -9.0, "ab": -1.0, "▁ab": -2.0}
    pieces = [Piece(word, 0.0) for word in words] + [Piece(*pair) for pair in learned.items()]
    text = json.dumps(tokenizer_of(pieces))
    (folder / "tokenizer.json").write_text(text, encoding="utf-8")
    return Writing().prepare([], Pretrained(folder))


@pytest.mark.parametrize("text", ["ab ab", "ab  é b", "b"])
def test_parts_of_a_published_text_join(text: str, tmp_path: Path) -> None:
    writing = llama(tmp_path)
    ids = writing.encode([text])[0].tolist()
    assert writing.decode_batch([ids]) == [text]
    pieces = [writing.decode_piece(ids[:1]), *(writing.decode_piece([token]) for token in ids[1:])]
    assert writing.decode_piece(ids) == f" {text}"  # as a part of a text, after what stands before
    if text.isascii():
        assert "".join(pieces) == f" {text}"


def test_a_published_tokenizer_says_whether_a_prompt_is_opened(tmp_path: Path) -> None:
    writing = llama(tmp_path)
    assert (writing.opens, writing.start, writing.end, writing.padding) == (True, 1, 2, None)
    (tmp_path / "gpt2").mkdir()
    letters = {letter: n for n, letter in enumerate(["<|endoftext|>", "a", "b", "ab"])}
    (tmp_path / "gpt2/vocab.json").write_text(json.dumps(letters), encoding="utf-8")
    (tmp_path / "gpt2/merges.txt").write_text("#version: 0.2\na b\n", encoding="utf-8")
    gpt2 = Writing().prepare([], Pretrained(tmp_path / "gpt2"))
    assert (gpt2.opens, gpt2.start, gpt2.end) == (False, 0, 0)
    task = Generate(writing=gpt2, lanes=False)
    assert (task.prompt_ids("ab"), task.prompt_ids("")) == ([3], [0])
    assert Generate(writing=writing, lanes=False).prompt_ids("ab") == [1, writing.size - 1]
    assert Writing().prepare(["a text of words"]).opens
