"""Greedy decoding: always the most probable next token."""

import torch

from ensuite.core.batch import DECODER, Batch, Carry
from ensuite.decoding.written import Steps, Written, begin, choose

SHRINK = 0.75
"""Rows that have ended are removed once at most this share of the batch is left, since each removal
copies the batch."""


@torch.no_grad()
def greedy(model: Steps, batch: Batch, *, start: int, end: int, longest: int) -> list[Written]:
    """Return the sequence of most probable tokens for each row of the batch.

    Rows are removed from the batch after they have ended.

    Args:
        model: Returns the logits of the next token.
        batch: Inputs of the model; they are encoded once.
        start: Start token.
        end: End token.
        longest: Largest number of tokens of a sequence.
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
            carry, words, rows, going = choose(carry, stay), words[stay], rows[stay], going[stay]
    lengths = (written == end).int().argmax(1).where((written == end).any(1), longest)
    triples = zip(written.tolist(), lengths.tolist(), scores.tolist(), strict=True)
    return [Written(tokens[:length], score) for tokens, length, score in triples]
