"""Beam search: keep the most probable partial sequences, and extend each of them."""

from typing import NamedTuple

import torch
from torch import Tensor

from ensuite.core.batch import DECODER, Batch, Carry
from ensuite.core.errors import UsageError
from ensuite.decoding.interfaces import DecodedSequence, Steps, begin, select_rows


class Beams(NamedTuple):
    """The partial sequences of every row, best first: all (rows, beam, ...)."""

    tokens: Tensor  # (rows, beam, written), filled up with the end token once a sequence has ended
    scores: Tensor  # (rows, beam), logarithm of the probability
    lengths: Tensor  # (rows, beam), number of tokens, the end included
    ended: Tensor  # (rows, beam)


@torch.no_grad()
def beam_search(
    model: Steps,
    batch: Batch,
    *,
    start: int,
    end: int,
    longest: int,
    beam: int,
    length_penalty: float = 0.6,
) -> list[DecodedSequence]:
    """Return the best sequence that a beam search finds for each row of the batch.

    Sequences are compared by score / ((5 + length) / 6)^penalty, since a sum of log probabilities
    alone would favour short ones. Rows whose beams have all ended leave the batch.

    Args:
        model: Gives the scores of the next token.
        batch: The sources, encoded once.
        start: The token before the first.
        end: The token after the last.
        longest: The largest number of tokens of a sequence.
        beam: Beam width; 1 is greedy decoding.
        length_penalty: Exponent of the length; 0 compares by probability alone.

    Raises:
        UsageError: If the beam width is less than 1.

    Source:
        Wu et al. (2016), https://arxiv.org/abs/1609.08144, section 7, without its coverage.
    """
    if beam < 1:
        raise UsageError(f"The beam is {beam}; give 1 or more (1 is greedy decoding).")
    rows = torch.arange(len(batch))
    carry: Carry = begin(model, batch)
    device = next(iter(carry.values())).device
    carry = select_rows(carry, torch.arange(len(batch), device=device).repeat_interleave(beam))
    beams = first(len(batch), beam, start, device)
    done: dict[int, DecodedSequence] = {}
    for _ in range(longest):
        values, carry = model.step({DECODER: beams.tokens[..., -1].flatten()}, carry)
        news = values.float().log_softmax(-1).unflatten(0, (len(rows), beam))
        beams, parents = grow(beams, news, end, length_penalty)
        carry = select_rows(carry, parents)
        over = beams.ended.all(1)
        done |= finish(beams, rows, over, end, length_penalty)
        if over.any():
            going = (~over).nonzero()[:, 0]
            rows, beams = rows[going.cpu()], Beams(*(part[going] for part in beams))
            places = going[:, None] * beam + torch.arange(beam, device=device)
            carry = select_rows(carry, places.flatten())
        if not len(rows):
            break
    done |= finish(beams, rows, torch.ones(len(rows), dtype=torch.bool), end, length_penalty)
    return [done[row] for row in range(len(batch))]


def first(rows: int, beam: int, start: int, device: torch.device) -> Beams:
    """Return beams that hold the start token; all but the first have probability 0."""
    scores = torch.full((rows, beam), -torch.inf, device=device)
    scores[:, 0] = 0.0
    return Beams(
        torch.full((rows, beam, 1), start, device=device),
        scores,
        torch.zeros(rows, beam, device=device),
        torch.zeros(rows, beam, dtype=torch.bool, device=device),
    )


def grow(beams: Beams, news: Tensor, end: int, penalty: float) -> tuple[Beams, Tensor]:
    """Return the best continuations of every row, and the number of the beam each continues.

    Args:
        beams: The partial sequences.
        news: (rows, beam, vocabulary), log probability of each next token.
        end: The token that ends a sequence. Ended sequences are extended with it at no cost.
        penalty: The length penalty.
    """
    rows, beam, vocabulary = news.shape
    free = torch.full_like(news[0, 0], -torch.inf)
    free[end] = 0.0
    news = torch.where(beams.ended[..., None], free, news)
    totals = beams.scores[..., None] + news
    lengths = beams.lengths + ~beams.ended
    _, best = normalise(totals, lengths[..., None], penalty).flatten(1).topk(beam)
    parents, words = best // vocabulary, best % vocabulary
    grown = Beams(
        torch.cat([take(beams.tokens, parents), words[..., None]], dim=-1),
        totals.flatten(1).gather(1, best),
        lengths.gather(1, parents),
        beams.ended.gather(1, parents) | (words == end),
    )
    places = torch.arange(rows, device=news.device)[:, None] * beam
    return grown, (places + parents).flatten()


def finish(
    beams: Beams, rows: Tensor, over: Tensor, end: int, penalty: float
) -> dict[int, DecodedSequence]:
    """Return the best sequence of each row that is over; one that has ended where there is one."""
    ranks = normalise(beams.scores, beams.lengths, penalty)
    cut = ~beams.ended & beams.ended.any(1, keepdim=True)
    best = ranks.masked_fill(cut, -torch.inf).argmax(1)
    return {
        int(rows[place]): DecodedSequence(
            [word for word in beams.tokens[place, best[place], 1:].tolist() if word != end],
            float(beams.scores[place, best[place]]),
        )
        for place in over.nonzero()[:, 0].tolist()
    }


def normalise(scores: Tensor, lengths: Tensor, penalty: float) -> Tensor:
    """Return scores that can be compared between sequences of different lengths."""
    return scores / ((5 + lengths) / 6) ** penalty


def take(tokens: Tensor, parents: Tensor) -> Tensor:
    """Return the tokens of each chosen beam, (rows, beam, written)."""
    return tokens.gather(1, parents[..., None].expand(-1, -1, tokens.shape[-1]))
