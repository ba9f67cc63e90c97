"""Tokenizers of published checkpoints: their files, special tokens, frames and segments."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from tokenizers import Tokenizer, models, processors
from tokenizers import pre_tokenizers as cut

from ensuite.core.backbone import Pretrained
from ensuite.core.errors import RunError, UsageError
from ensuite.core.options import from_json, to_json
from ensuite.core.presentation import Ledger
from ensuite.core.special import Special
from ensuite.data.processors.checkpoint import (
    Frame,
    Token,
    find_special,
    kept_tokenizer,
    read_frames,
)
from ensuite.data.processors.text import Text
from ensuite.data.processors.writing import Writing

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "was", "good", "##s", "bad"]
DATA = Path(os.environ.get("ENSUITE_DATA", "no such folder")) / "tokenizers"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the data set tokenizers")


def bert(folder: Path, pieces: list[str] = PIECES, **config: Any) -> Pretrained:
    """Write a checkpoint with a vocabulary of WordPiece."""
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return Pretrained(tokenizer=folder)


def gpt(folder: Path) -> Pretrained:
    """Write a checkpoint with a byte-level vocabulary: "!" is 0, "#" is 2, as GPT-2's are."""
    names = ["!", '"', "#", *sorted({*cut.ByteLevel.alphabet()} - {*'!"#'}), "<|endoftext|>"]
    ids = {name: number for number, name in enumerate(names)}
    ids |= {"th": len(ids), "the": len(ids) + 1}
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\nt h\nth e\n", encoding="utf-8")
    return Pretrained(tokenizer=folder)


def test_a_tokenizer_that_cuts_and_pads_does_neither_here(tmp_path: Path) -> None:
    """A file that truncates to 128 and pads to 128 made every text 128 tokens long."""
    words = {name: number for number, name in enumerate(PIECES)}
    tokenizer = Tokenizer(models.WordLevel(vocab=words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = cut.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_truncation(128)
    tokenizer.enable_padding(length=128)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    pretrained = Pretrained(tokenizer=tmp_path, length=128)
    text = Text(truncation="head").prepare(["the film"], pretrained)
    short, long = "the film", " ".join(["good"] * 300)
    assert text.encode([short, long]).lengths.tolist() == [2, 300]
    batch = text.collate([windows[0] for windows in text.windows([short, long])])
    assert batch.mask is not None
    assert batch.mask.sum(1).tolist() == [4, 128]
    assert text.ledger([short, long]) == Ledger(1, 300 - 126, 302)
    many = Text(overlap=10).prepare([short], pretrained)
    assert [len(window) for window in many.windows([long])[0]] == [126, 126, 68]


def test_every_window_is_framed(tmp_path: Path) -> None:
    text = Text(window=5, overlap=1).prepare(["the"], bert(tmp_path))
    (windows,) = text.windows(["the film was good bad the"])
    batch = text.collate(list(windows))
    assert batch.inputs["tokens"].tolist() == [[2, 5, 6, 7, 3], [2, 7, 8, 10, 3], [2, 10, 5, 3, 0]]
    assert batch.mask is not None
    assert batch.mask.sum(1).tolist() == [5, 5, 4]
    assert text.to_tokens(windows[2]) == ("[CLS]", "bad", "the", "[SEP]")
    assert text.special == Special(pad=0, unknown=1, separator=3, cls=2, mask=4)
    assert from_json(Text, to_json(text)) == text


def test_a_pair_has_segments_where_the_checkpoint_has_them(tmp_path: Path) -> None:
    text = Text().prepare([("the film", "good")], bert(tmp_path))
    pairs = [("the film", "good"), ("bad", "")]
    batch = text.collate([window for windows in text.windows(pairs) for window in windows])
    assert batch.inputs["tokens"].tolist() == [[2, 5, 6, 3, 8, 3], [2, 10, 3, 3, 0, 0]]
    assert batch.inputs["segments"].tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0]]
    assert text.inputs["segments"].size == 2  # type: ignore[union-attr]
    single = Text().prepare(["the film"], Pretrained(tokenizer=tmp_path))
    assert single.inputs.keys() == {"tokens"}


def test_an_empty_text_is_its_frame_alone(tmp_path: Path) -> None:
    text = Text().prepare(["the"], bert(tmp_path))
    batch = text.collate([windows[0] for windows in text.windows(["", "the"])])
    assert batch.inputs["tokens"].tolist() == [[2, 3, 0], [2, 5, 3]]


@pytest.mark.parametrize("lower", [True, False, None])
def test_capitals_follow_the_configuration_or_the_vocabulary(
    lower: bool | None, tmp_path: Path
) -> None:
    pieces = [*PIECES, "The"]
    pretrained = bert(tmp_path, pieces, **({} if lower is None else {"do_lower_case": lower}))
    text = Text().prepare(["the"], pretrained)
    assert text.encode(["The films"])[0].tolist() == [5 if lower else 11, 6, 9]
    assert Text().prepare(["the"], bert(tmp_path)).encode(["THE"])[0].tolist() == [5]


def test_no_token_of_text_pads_or_ends_with_the_vocabulary_of_gpt2(tmp_path: Path) -> None:
    writing = Writing().prepare(["the!"], gpt(tmp_path))
    ids = writing.encode(["!the#"])[0].tolist()
    assert ids == [0, writing.size - 1, 2]
    end = writing.size - 3
    assert (writing.start, writing.end, writing.edges) == (end, end, (end,))
    assert not {0, 2, end} & {*writing.suppressed}
    assert writing.decode_piece(ids) == "!the#"
    text = Text().prepare(["the!"], Pretrained(tokenizer=tmp_path))
    assert text.inputs["tokens"].pad is None  # type: ignore[union-attr]
    assert text.special.pad is None
    batch = text.collate([windows[0] for windows in text.windows(["!", "!the#"])])
    assert batch.mask is not None
    assert batch.mask.sum(1).tolist() == [1, 3]


def test_the_configuration_names_the_special_tokens() -> None:
    vocabulary = {"a": 0, "<s>": 1, "</s>": 2, "[PAD]": 3, "end": 4}
    config = {"eos_token": "end", "bos_token": {"content": "<s>"}, "pad_token": None}
    assert find_special(vocabulary, config) == Special(pad=3, start=1, end=4, separator=2, cls=1)
    assert find_special({"a": 0}, {}) == Special()
    assert find_special({"[PAD]": 0, "[UNK]": 1, "[SEP]": 2}, {}) == Special(0, 1, 2, 2, 2)


def test_frames_are_read_from_templates() -> None:
    template = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "<s>", "type_id": 1}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    found = read_frames(
        json.dumps({"post_processor": {"type": "Sequence", "processors": [template]}})
    )
    assert found.single == Frame((Token(1),))
    assert found.pair == Frame((Token(1),), (Token(1, 1),), (), (0, 1))
    plain = read_frames(json.dumps({"post_processor": None}))
    assert plain.single == plain.pair == Frame()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"vocab\.txt has no \[UNK\], \[SEP\]"):
        kept_tokenizer(bert(tmp_path, ["[PAD]", "[CLS]", "the"]), "tokenizer.json")
    (tmp_path / "tokenizer_config.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(RunError, match=r"tokenizer_config\.json holds no JSON object"):
        kept_tokenizer(Pretrained(tokenizer=tmp_path), "tokenizer.json")
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "vocab.txt").unlink()
    gpt(tmp_path)
    (tmp_path / "merges.txt").write_text("un known\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"merges\.txt does not go with .*vocab\.json"):
        kept_tokenizer(Pretrained(tokenizer=tmp_path), "tokenizer.json")


def test_a_window_too_small_for_its_frame_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"A window of 2 tokens has no room .* window=3 or more"):
        Text(window=2, overlap=0).prepare(["the"], bert(tmp_path))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Pretrained:
    return bert(tmp_path_factory.mktemp("bert"))


@given(words=some.lists(some.sampled_from(PIECES[5:]), max_size=30), window=some.integers(3, 12))
def test_windows_hold_all_of_a_text_whatever_their_size(
    published: Pretrained, words: list[str], window: int
) -> None:
    text = Text(window=window, overlap=0).prepare(["the"], published)
    (windows,) = text.windows([" ".join(words)])
    assert np.concatenate(list(windows)).tolist() == text.encode([" ".join(words)])[0].tolist()
    assert all(len(each) + text.frame.size <= window for each in windows)


@needs_data
def test_the_published_vocabulary_of_bert_is_read(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes((DATA / "bert-base-uncased-vocab.txt").read_bytes())
    text = Text().prepare(["a"], Pretrained(tokenizer=tmp_path, length=512))
    # As transformers' BertTokenizer gives them for bert-base-uncased.
    (window,) = text.windows(["Hello, world! Tokenization is unaffable."])[0]
    told = "[CLS] hello , world ! token ##ization is una ##ffa ##ble . [SEP]"
    assert " ".join(text.to_tokens(window)) == told
    batch = text.collate([window])
    assert batch.inputs["tokens"][0, [0, 1, -1]].tolist() == [101, 7592, 102]
    assert text.special == Special(pad=0, unknown=100, separator=102, cls=101, mask=103)


@needs_data
def test_the_published_vocabulary_of_gpt2_is_read(tmp_path: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((DATA / f"gpt2-{name}").read_bytes())
    writing = Writing().prepare(["a"], Pretrained(tokenizer=tmp_path))
    text = "Hello world! # È 日本"
    ids = writing.encode([text])[0].tolist()
    assert ids[:5] == [15496, 995, 0, 1303, 6184]
    assert writing.decode_piece(ids) == text
    assert (writing.start, writing.end, writing.size) == (50256, 50256, 50257)


def test_a_tokenizer_is_described_as_transformers_reads_it(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    text = Text().prepare([], Pretrained(tokenizer=tmp_path, length=32))
    config = text.tokenizer_config()
    assert config["model_max_length"] == 32
    assert (config["cls_token"], config["pad_token"]) == ("[CLS]", "[PAD]")
    assert "bos_token" not in config
    again = find_special({piece: number for number, piece in enumerate(PIECES)}, config)
    assert again == text.special
