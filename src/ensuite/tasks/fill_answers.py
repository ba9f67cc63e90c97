"""The answers of fill: how well a text is predicted, the likeliest tokens, whether texts follow."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.batch import IGNORE
from ensuite.core.errors import DataError
from ensuite.data import pairs, prose
from ensuite.data.processors.documents import ID, UNTOLD, Documents
from ensuite.nn.masked import MaskedHead
from ensuite.nn.vocabulary import CHUNK
from ensuite.tasks.fill_examples import Example
from ensuite.tasks.fill_rows import Item

Numbers = NDArray[Any]

ALIKE = 4
"""Tokens that are looked at for each that is told, since some look alike."""

Choices = tuple[tuple[str, float], ...]
"""Tokens and their probabilities, the most probable first."""


class Prediction(NamedTuple):
    """How well a text is predicted, or the answer to a question."""

    bits: float = 0.0
    tokens: int = 0
    bytes: int = 0
    right: int = 0  # tokens
    pairs: int = 0  # of texts, of which it was asked whether one follows the other
    pairs_right: int = 0
    masks: tuple[Choices, ...] = ()  # the most probable tokens in place of each mask token
    follows: float | None = None  # probability that the second text follows the first


class Piece(NamedTuple):
    """What a model says of a row."""

    bits: Numbers  # (hidden tokens,)
    right: Numbers  # (hidden tokens,)
    best: list[Choices]  # of each mask token of a question
    follows: float | None


# Of the states of a row


def judge(head: MaskedHead, states: Tensor, targets: Tensor) -> tuple[Numbers, Numbers]:
    """Return the bits of each target, and whether it is the most probable token.

    Args:
        head: Computes the scores of a few positions at a time: those of all would fill memory.
        states: (positions, width).
        targets: (positions,), the true tokens.
    """
    bits, right = [np.empty(0)], [np.empty(0, dtype=bool)]
    both = (torch.split(each, CHUNK) for each in (states, targets))
    for some, true in zip(*both, strict=True):
        scores = head.factors(some).scores().float()
        known = scores.gather(1, true[:, None])[:, 0]
        bits.append(((scores.logsumexp(-1) - known) / math.log(2)).cpu().double().numpy())
        right.append((scores.argmax(-1) == true).cpu().numpy())
    return np.concatenate(bits), np.concatenate(right)


def best_choices(head: MaskedHead, states: Tensor, reading: Documents, k: int) -> list[Choices]:
    """Return the ``k`` most probable tokens at each state, (positions, width)."""
    found: list[Choices] = []
    for some in torch.split(states, CHUNK) if len(states) else ():
        shares = head.factors(some).scores().float().softmax(-1)
        found += [choose(row, reading, k) for row in shares.cpu().double().numpy()]
    return found


def choose(shares: Numbers, reading: Documents, k: int) -> Choices:
    """Return the ``k`` most probable tokens that are not special.

    Tokens that differ by the blank before them are told as one, with the sum of their
    probabilities.

    Args:
        shares: (vocabulary,), probabilities.
        reading: Knows the text of each token.
        k: How many.
    """
    ordinary = reading.ordinary
    order = ordinary[np.argsort(-shares[ordinary], kind="stable")[: ALIKE * k]]
    found: dict[str, float] = {}
    for token, share in zip(reading.to_tokens(order.tolist()), shares[order].tolist(), strict=True):
        found[token] = found.get(token, 0.0) + share
    return tuple(sorted(found.items(), key=lambda pair: -pair[1])[:k])


# Of the rows of an example


def answer_masks(
    example: Example, rows: Sequence[tuple[Item, Piece]], reading: Documents
) -> Prediction:
    """Return the answer to a question with mask tokens.

    Raises:
        DataError: If it has none.
    """
    found: list[Choices] = []
    for item, piece in rows:
        if item.hidden is not None:
            own = item.hidden[item.first[:, ID] == reading.mask_id]
            found += [choices for choices, asked in zip(piece.best, own, strict=True) if asked]
    if not found:
        name = reading.mask_name
        raise DataError(
            f'"{str(example.text)[:60]}" has no {name}: write {name} in place of each word that '
            "is to be predicted."
        )
    return Prediction(masks=tuple(found))


def score_rows(example: Example, rows: Sequence[tuple[Item, Piece]]) -> Prediction:
    """Add up what the rows of a text say; a byte that an unknown token leaves out costs 8 bits."""
    unknown_bytes = sum(
        int(item.first[item.hidden, UNTOLD].sum()) for item, _ in rows if item.hidden is not None
    )
    asked = [
        (item.answer == pairs.FOLLOWS) == (piece.follows >= 0.5)
        for item, piece in rows
        if item.answer != IGNORE and piece.follows is not None
    ]
    return Prediction(
        bits=sum(float(piece.bits.sum()) for _, piece in rows) + 8.0 * unknown_bytes,
        tokens=sum(len(piece.bits) for _, piece in rows),
        bytes=prose.count_bytes(example.text),
        right=sum(int(piece.right.sum()) for _, piece in rows),
        pairs=len(asked),
        pairs_right=sum(asked),
    )


# Presentation


def describe(prediction: Prediction) -> tuple[str, float | None]:
    """Return a prediction in words, and the probability of whether one text follows another."""
    if prediction.follows is not None:
        follows = prediction.follows >= 0.5
        answer = "follows" if follows else "does not follow"
        return answer, prediction.follows if follows else 1 - prediction.follows
    if prediction.masks:
        return "; ".join(map(list_choices, prediction.masks)), None
    return f"{bits_per_byte(prediction):.3f} bits per byte", None


def record(prediction: Prediction, *, next_sentence: bool) -> dict[str, Any]:
    """Return a prediction as JSON has it."""
    if prediction.follows is not None:
        answer, probability = describe(prediction)
        return {"answer": answer, "probability": probability, "follows": prediction.follows}
    if prediction.masks:
        masks = [
            [{"token": token, "probability": share} for token, share in choices]
            for choices in prediction.masks
        ]
        return {"answer": ", ".join(each[0][0] for each in prediction.masks), "masks": masks}
    names: tuple[str, ...] = ("bits", "tokens", "bytes", "right")
    names += ("pairs", "pairs_right") if next_sentence else ()
    known = {name: getattr(prediction, name) for name in names}
    return {"bits_per_byte": bits_per_byte(prediction), **known}


def bits_per_byte(prediction: Prediction) -> float:
    """Return the bits per byte of a text; of an empty one its bits."""
    return prediction.bits / max(1, prediction.bytes)


def list_choices(choices: Choices) -> str:
    """Write choices on one line.

    >>> list_choices((("chat", 0.31), ("chien", 0.2)))
    'chat 0.31, chien 0.20'
    """
    return ", ".join(f"{token} {share:.2f}" for token, share in choices)
