"""Linear-chain conditional random field (CRF): the best labels of a sequence, chosen together.

A path of labels scores the sum of its emissions (of a label at a position), of its transitions
(from a label to the next), of the start of its first label and of the end of its last. Its
probability is exp(score) over the sum of exp(score) of all paths. Padding may stand anywhere: it is
stepped over. A row of nothing but padding has one path, of score 0.

Sources:
    Lafferty, McCallum & Pereira (2001), ICML, pages 282-289
    Over a recurrent network: Lample et al. (2016), https://arxiv.org/abs/1603.01360, section 2.2
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ensuite.core.batch import IGNORE

IMPOSSIBLE = -1e9
"""Score of what cannot be: its exponential is 0, and unlike with infinity no difference is NaN."""

WIDEST = 60.0
"""Transitions further apart than this, in nats, are not multiplied: exp(-87) is 0 in float32."""


class Chain(NamedTuple):
    """The scores of a batch of chains, in the order in which the functions here take them.

    Attributes:
        emissions: Of each label at each position.
        transitions: Of going from one label, a row, to the next, a column.
        start: Of each label at the first real position.
        end: Of each label at the last real position.
    """

    emissions: Float[Tensor, "batch time label"]
    transitions: Float[Tensor, "label label"]
    start: Float[Tensor, " label"]
    end: Float[Tensor, " label"]


class CRF(nn.Module):
    """Put scores of neighbouring labels beside those of single positions.

    They start at 0: then every position is a softmax for itself.

    Args:
        labels: How many labels there are.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        self.start = nn.Parameter(torch.zeros(labels))
        self.end = nn.Parameter(torch.zeros(labels))

    def forward(self, emissions: Float[Tensor, "batch time label"]) -> Chain:
        """Return all scores: ``viterbi(*crf(emissions), mask)``."""
        return Chain(emissions, self.transitions, self.start, self.end)


def negative_log_likelihood(
    emissions: Float[Tensor, "batch time label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    labels: Int[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, ""]:
    """Sum -log p(labels), in nats, over the rows.

    Where a label is ``IGNORE``, any may stand: the row counts the probability of all paths through
    its known labels (Tsuboi et al. 2008, https://aclanthology.org/C08-1113, section 3). A row
    without any known label counts 0.
    """
    chain = Chain(_wide(emissions), _wide(transitions), _wide(start), _wide(end))
    unknown = labels == IGNORE
    if bool((unknown if mask is None else unknown & mask).any()):
        others = ~F.one_hot(labels.clamp(min=0), len(start)).bool() & ~unknown[..., None]
        known = chain._replace(emissions=chain.emissions.masked_fill(others, IMPOSSIBLE))
        score = log_partition(*known, mask)
    else:
        score = path_score(*chain, labels, mask)
    return (log_partition(*chain, mask) - score).sum()


def path_score(
    emissions: Float[Tensor, "batch time label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    labels: Int[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, " batch"]:
    """Return the score of one path a row; labels at padding are not read."""
    emissions, labels, real = _to_start(_wide(emissions), labels, mask)
    labels = labels.masked_fill(~real, 0)
    pairs = labels[:, :-1] * len(start) + labels[:, 1:]
    # F.embedding, not table[pairs]: the gradient of an index is not the same bits every time
    steps = F.embedding(pairs, _wide(transitions).reshape(-1, 1))[..., 0]
    at = emissions.gather(2, labels[..., None])[..., 0]
    last = labels.gather(1, (real.sum(1, keepdim=True) - 1).clamp(min=0))
    ends = F.embedding(labels[:, :1], _wide(start)[:, None]) + F.embedding(
        last, _wide(end)[:, None]
    )
    inside = (at * real).sum(1) + (steps * real[:, 1:]).sum(1)
    return inside + ends[:, 0, 0] * real[:, 0]


def log_partition(
    emissions: Float[Tensor, "batch time label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    mask: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, " batch"]:
    """Return the logarithm of the sum of exp(score) over all paths of each row."""
    emissions, _, real = _to_start(_wide(emissions), None, mask)
    transitions, start, end = _wide(transitions), _wide(start), _wide(end)
    spread = float(transitions.detach().max() - transitions.detach().min())
    compute = _LogPartition.apply if spread < WIDEST else _log_partition
    total: Tensor = compute(emissions.transpose(0, 1), transitions, start, end, real.t())
    return total


def marginals(
    emissions: Float[Tensor, "batch time label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    mask: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, "batch time label"]:
    """Return the probability of each label at each position; zeros at padding."""
    chain = (emissions.detach(), transitions.detach(), start.detach(), end.detach())
    # The gradient of log_partition is what is asked for, and copies, since in inference mode what
    # is given cannot be differentiated.
    with torch.inference_mode(False), torch.enable_grad():
        wide = _wide(chain[0]).clone().requires_grad_()
        mask = None if mask is None else mask.clone()
        total = log_partition(wide, *chain[1:], mask).sum()
    return torch.autograd.grad(total, wide)[0]


def viterbi(
    emissions: Float[Tensor, "batch time label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    mask: Bool[Tensor, "batch time"] | None = None,
) -> list[list[int]]:
    """Return the path of the largest score of each row, over its real positions only.

    Source:
        Viterbi (1967), https://doi.org/10.1109/TIT.1967.1054010
    """
    emissions, _, real = _to_start(_wide(emissions).detach(), None, mask)
    best, choices = emissions[:, 0] + start.detach(), [torch.zeros_like(emissions[:, 0]).long()]
    for now, here in zip(emissions[:, 1:].unbind(1), real[:, 1:].unbind(1), strict=True):
        reached, choice = (best[:, :, None] + transitions.detach()).max(1)
        best = torch.where(here[:, None], reached + now, best)
        choices.append(choice)
    last = (best + end.detach()).argmax(1).tolist()
    rows = zip(last, torch.stack(choices, 1).tolist(), real.sum(1).tolist(), strict=True)
    return [_trace_back(label, before, length) for label, before, length in rows]


def _trace_back(label: int, before: list[list[int]], length: int) -> list[int]:
    """Return the path to a label, from the one it was best reached from at each position."""
    path = [label]
    for choice in before[length - 1 : 0 : -1]:
        path.append(choice[path[-1]])
    return path[::-1] if length else []


def _log_partition(
    emissions: Float[Tensor, "time batch label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    real: Bool[Tensor, "time batch"],
) -> Float[Tensor, " batch"]:
    """Run the forward algorithm as it is defined; time comes first, padding last."""
    sums = start + emissions[0]  # over all ways to each label
    for now, here in zip(emissions[1:], real[1:, :, None], strict=True):
        ways = torch.logsumexp(sums[:, :, None] + transitions, 1)
        sums = torch.where(here, ways + now, sums)
    return torch.logsumexp(sums + end, 1) * real[0]


class _LogPartition(torch.autograd.Function):
    """The forward algorithm with a product of matrices a position, both ways.

    The sum over the labels before, Σ exp(sums + transitions), is exp(sums - largest) @
    exp(transitions), and the gradient is how probable each label, and each pair of them, is.
    """

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, real: Tensor
    ) -> Tensor:
        """Compute what ``_log_partition`` does."""
        highest = transitions.max()
        factors = (transitions - highest).exp()
        sums, parts, totals = start + emissions[0], [], []
        for now, here in zip(emissions[1:], real[1:, :, None], strict=True):
            largest = sums.amax(1, keepdim=True)
            parts.append((sums - largest).exp_())
            totals.append(parts[-1] @ factors)
            ways = totals[-1].log().add_(largest + highest)
            sums = torch.where(here, ways.add_(now), sums)
        result = torch.logsumexp(sums + end, 1)
        last = (sums + end - result[:, None]).exp_()
        ctx.save_for_backward(last, factors, real, *parts, *totals)
        return result * real[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return how probable each label is, and how often each pair is expected."""
        last, factors, real, *rest = ctx.saved_tensors
        parts, totals = rest[: len(real) - 1], rest[len(real) - 1 :]
        labels, shares = [last * (gradient * real[0])[:, None]], []
        for part, total, here in reversed([*zip(parts, totals, real[1:, :, None], strict=True)]):
            shares.append(labels[-1] / total * here)  # none at padding
            before = part * (shares[-1] @ factors.t())
            labels.append(torch.where(here, before, labels[-1]))
        expected = torch.stack(labels[::-1])
        pairs = torch.zeros_like(factors)
        if parts:
            pairs = factors * (torch.cat(parts).t() @ torch.cat(shares[::-1]))
        first, last = labels[-1], labels[0]
        return expected * real[..., None], pairs, first.sum(0), last.sum(0), None


def _to_start(
    emissions: Tensor, labels: Tensor | None, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Move each row's real positions to its start; return emissions, labels and the new mask."""
    if mask is None:
        mask = torch.ones_like(emissions[..., 0], dtype=torch.bool)
    labels = torch.zeros_like(mask, dtype=torch.long) if labels is None else labels
    real, order = mask.sort(dim=1, descending=True, stable=True)
    if real.equal(mask):
        return emissions, labels, real
    places = order[..., None].expand_as(emissions)
    return emissions.gather(1, places), labels.gather(1, order), real


def _wide(scores: Tensor) -> Tensor:
    """Return at least float32: sums over many paths."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
