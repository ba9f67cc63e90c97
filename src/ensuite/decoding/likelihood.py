"""Likelihood: how probable given continuations of a prompt are."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.batch import Batch, Carry
from ensuite.decoding.continuation import TOKENS, begin_together, repeat
from ensuite.decoding.interfaces import LanguageModel, select_rows

MOST_ROWS = 64
"""Rows that are scored together: each has its own state."""

Ids = Sequence[int]


@torch.no_grad()
def log_likelihoods(
    model: LanguageModel, prompts: Sequence[Ids], continuations: Sequence[Ids]
) -> NDArray[np.float64]:
    """Return the log probability of each continuation after each prompt, (prompts, continuations).

    What all prompts begin with, such as solved examples, is read once. Then prompts of one length
    are read together in one pass, so that nothing is padded, and the continuations are taken step
    by step from the state after the prompt.

    Args:
        model: Gives the logits of the next token.
        prompts: One or more tokens each.
        continuations: One or more tokens each.
    """
    found = np.zeros((len(prompts), len(continuations)))
    if not len(prompts):
        return found
    shared, taken = begin_together(model, prompts)
    for numbers in by_length(prompts, max(1, MOST_ROWS // len(continuations))):
        carry = repeat(shared, len(numbers))
        device = next(iter(carry.values())).device
        tokens = torch.tensor([list(prompts[number][taken:]) for number in numbers], device=device)
        logits, carry = model.read(Batch(inputs={TOKENS: tokens}), carry)
        rows = torch.arange(len(numbers), device=device).repeat_interleave(len(continuations))
        scores = follow(
            model, logits[rows], select_rows(carry, rows), list(continuations) * len(tokens)
        )
        found[numbers] = scores.view(len(numbers), -1).cpu().numpy()
    return found


def by_length(sequences: Sequence[Ids], most: int) -> Iterator[list[int]]:
    """Yield the numbers of sequences of equal length, at most so many at once."""
    numbers = defaultdict(list)
    for number, sequence in enumerate(sequences):
        numbers[len(sequence)].append(number)
    for group in numbers.values():
        yield from (group[at : at + most] for at in range(0, len(group), most))


def follow(
    model: LanguageModel, logits: Tensor, carry: Carry, continuations: Sequence[Ids]
) -> Tensor:
    """Return the log probability of one continuation for each row, (rows,).

    Args:
        model: Gives the logits of the next token.
        logits: (rows, vocabulary), of the first token.
        carry: The state before it.
        continuations: One for each row.
    """
    lengths = torch.tensor([len(each) for each in continuations])
    words = torch.zeros(len(continuations), int(lengths.max()), dtype=torch.long)
    for row, tokens in enumerate(continuations):
        words[row, : len(tokens)] = torch.tensor(list(tokens))
    total = torch.zeros(len(continuations), dtype=torch.float64)  # on the CPU: mps has no float64
    for place, now in enumerate(words.unbind(1)):
        if place:
            logits, carry = model.step({TOKENS: words[:, place - 1].to(logits.device)}, carry)
        scores = logits.cpu().double().log_softmax(-1).gather(1, now[:, None])[:, 0]
        total += torch.where(place < lengths, scores, 0.0)
    return total
