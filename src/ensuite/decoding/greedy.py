"""Greedy decoding: always the most probable next token."""

import torch

from ensuite.core.batch import DECODER, Batch, Carry
from ensuite.decoding.interfaces import DecodedSequence, Steps, begin, select_rows

SHRINK = 0.75
"""Finished rows leave the batch once at most this share of it still writes, to save copies."""


@torch.no_grad()
def greedy(
    model: Steps, batch: Batch, *, start: int, end: int, longest: int
) -> list[DecodedSequence]:
    """Return a sequence for each row of the batch. Finished rows leave it.

    Args:
        model: Gives the scores of the next token.
        batch: The sources, encoded once.
        start: The token before the first.
        end: The token after the last.
        longest: The largest number of tokens of a sequence.
    """
    carry: Carry = begin(model, batch)
    device, size = next(iter(carry.values())).device, len(batch)
    rows = torch.arange(size, device=device)
    words = torch.full((size,), start, device=device)
    written = torch.full((size, longest), end, device=device)
    scores = torch.zeros(size, device=device)
    going = torch.ones(size, dtype=torch.bool, device=device)
    for place in range(longest):
        values, carry = model.step({DECODER: words}, carry)
        values = values.float()
        best, words = values.max(-1)
        words = torch.where(going, words, end)
        written[rows, place] = words
        surprise = (values - best[:, None]).exp_().sum(-1).log_()
        scores[rows] -= torch.where(going, surprise, 0.0)
        going = going & (words != end)
        left = int(going.sum())
        if not left:
            break
        if left <= SHRINK * len(rows):
            stay = going.nonzero()[:, 0]
            carry = select_rows(carry, stay)
            words, rows, going = words[stay], rows[stay], going[stay]
    lengths = (written == end).int().argmax(1).where((written == end).any(1), longest)
    triples = zip(written.tolist(), lengths.tolist(), scores.tolist(), strict=True)
    return [DecodedSequence(tokens[:length], score) for tokens, length, score in triples]
