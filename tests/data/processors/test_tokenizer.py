"""Tokenizers: what tells one from another is computed once."""

import pytest

from ensuite.data.encoded import Coder
from ensuite.data.processors import tokenizer
from ensuite.data.processors.documents import DocumentCoder
from ensuite.data.processors.pieces import PieceCoder
from ensuite.data.processors.questions import SpanCoder
from ensuite.data.processors.text import TextCoder
from ensuite.data.processors.words import WordCoder
from ensuite.data.processors.writing import UnknownBytesCoder


def coders(text: str) -> list[Coder]:
    return [
        TextCoder(text), TextCoder(text, 3), DocumentCoder(text, 1, "none"),
        DocumentCoder(text, 1, "blank"), SpanCoder(text), WordCoder(text, "ab", 9),
        WordCoder(text, "a", 9), PieceCoder(text, 1), UnknownBytesCoder(text, 1),
    ]  # fmt: skip


def test_a_tokenizer_is_hashed_once_for_all_that_reads_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed, sha256 = [], tokenizer.sha256
    monkeypatch.setattr(tokenizer, "sha256", lambda b: hashed.append(b) or sha256(b))
    tokenizer.fingerprint.cache_clear()
    keys = {coder.key for text in ("{1}", "{2 \ud800}") for _ in range(2) for coder in coders(text)}
    assert len(keys) == 2 * len(coders(""))
    assert len(hashed) == 2
