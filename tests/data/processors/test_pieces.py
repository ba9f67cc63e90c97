"""Words in pieces: one state for each word, whatever the tokenizer makes of it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.backbone import Pretrained
from ensuite.data.processors.pieces import STARTS, Pieces, word_places

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##believ", "##able", "a", "film", "."]


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Pieces:
    folder = tmp_path_factory.mktemp("checkpoint")
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    return Pieces(overlap=1).prepare([], Pretrained(folder, length=8))


def names(pieces: Pieces, window: np.ndarray) -> list[str]:
    return [VOCABULARY[token] for token in window[:, 0]]


def test_the_state_of_a_word_is_that_of_its_first_piece(pieces: Pieces) -> None:
    (windows,) = pieces.windows([("unbelievable", "film", ".")])
    batch = pieces.collate(windows)
    read = [VOCABULARY[token] for token in batch.inputs["tokens"][0].tolist()]
    assert read == ["[CLS]", "un", "##believ", "##able", "film", ".", "[SEP]"]
    assert batch.inputs[STARTS][0].tolist() == [0, 1, 0, 0, 1, 1, 0]
    places, mask = word_places(batch.inputs[STARTS])
    assert places.tolist() == [[1, 4, 5]]
    assert mask.all()


def test_no_word_is_lost(pieces: Pieces) -> None:
    (windows,) = pieces.windows([("a", "\u200b", "film")])
    assert names(pieces, windows[0]) == ["a", "[UNK]", "film"]
    assert windows[0][:, 1].tolist() == [1, 1, 1]


def test_a_window_holds_whole_words_and_its_frame(pieces: Pieces) -> None:
    sentence = ("a", "unbelievable", "film", "unbelievable", "a")
    assert pieces.window == 8
    (windows,) = pieces.windows([sentence])
    assert pieces.spans(sentence) == [(0, 3), (2, 5)]
    assert [len(window) for window in windows] == [5, 5]
    assert names(pieces, windows[1]) == ["film", "un", "##believ", "##able", "a"]


@given(some.lists(some.lists(some.text(max_size=6), max_size=12), min_size=1, max_size=4))
def test_every_word_of_any_sentence_is_in_a_window(
    pieces: Pieces, sentences: list[list[str]]
) -> None:
    raws = [tuple(sentence) for sentence in sentences]
    for raw, windows in zip(raws, pieces.windows(raws), strict=True):
        spans = pieces.spans(raw)
        assert spans[0][0] == 0
        assert spans[-1][1] == max(1, len(raw))
        assert all(a < b for a, b in spans)
        assert all(
            window[:, 1].sum() == b - a for window, (a, b) in zip(windows, spans, strict=True)
        )
        assert all(len(window) <= pieces.room for window in windows)


def test_words_of_rows_of_other_lengths() -> None:
    starts = torch.tensor([[0, 1, 0, 1, 0], [0, 1, 0, 0, 0]])
    places, mask = word_places(starts)
    assert places[mask].tolist() == [1, 3, 1]
    assert mask.tolist() == [[True, True], [True, False]]
