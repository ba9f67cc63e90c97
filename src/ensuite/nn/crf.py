"""Linear-chain conditional random field (CRF) over the labels of a sequence.

The score of a path of labels is the sum of its emission scores (of each label at its position), its
transition scores (of each label followed by the next), the start score of the first label and the
end score of the last. Its probability is exp(score) divided by the sum of exp(score) of all paths.
Padding may be anywhere and is skipped. A row of padding alone has one path, whose score is 0.

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
"""Score of an impossible label: its exponential is 0, and differences of it are not NaN."""

MAX_RANGE = 60.0
"""Largest range of the transition scores, in nats, for which exp(scores) are multiplied; it keeps
the factors far from underflow, as exp(-87) is the smallest normal number in float32."""


class Chain(NamedTuple):
    """The scores of a CRF for a batch, in the order of the arguments of the functions here.

    Attributes:
        emissions: Score of each label at each position.
        transitions: Score of each label (row) followed by each label (column).
        start: Score of each label at the first real position.
        end: Score of each label at the last real position.
    """

    emissions: Float[Tensor, "batch time label"]
    transitions: Float[Tensor, "label label"]
    start: Float[Tensor, " label"]
    end: Float[Tensor, " label"]


class CRF(nn.Module):
    """The parameters of a CRF: transition, start and end scores.

    They start at zero, where the CRF is an independent softmax at each position.

    Args:
        labels: Number of labels.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.transitions = nn.Parameter(torch.zeros(labels, labels))
        self.start = nn.Parameter(torch.zeros(labels))
        self.end = nn.Parameter(torch.zeros(labels))

    def forward(self, emissions: Float[Tensor, "batch time label"]) -> Chain:
        """Return all scores, to be used as in ``viterbi(*crf(emissions), mask)``."""
        return Chain(emissions, self.transitions, self.start, self.end)


def negative_log_likelihood(
    emissions: Float[Tensor, "batch time label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    labels: Int[Tensor, "batch time"],
    mask: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, ""]:
    """Return the sum over the rows of -log p(labels), in nats.

    If some labels of a row are ``IGNORE``, p is the probability of all paths that agree with its
    known labels (Tsuboi et al. 2008, https://aclanthology.org/C08-1113, section 3). A row without
    any known label adds 0.
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
    """Return the score of one path per row; labels at padding are ignored."""
    emissions, labels, real = _to_start(_wide(emissions), labels, mask)
    labels = labels.masked_fill(~real, 0)
    pairs = labels[:, :-1] * len(start) + labels[:, 1:]
    # F.embedding, not indexing, whose gradient is not bit-for-bit reproducible
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
    """Return the log partition function of each row: logsumexp of the scores of all paths."""
    emissions, _, real = _to_start(_wide(emissions), None, mask)
    transitions, start, end = _wide(transitions), _wide(start), _wide(end)
    score_range = float(transitions.detach().max() - transitions.detach().min())
    compute = _LogPartition.apply if score_range < MAX_RANGE else _log_partition
    total: Tensor = compute(emissions.transpose(0, 1), transitions, start, end, real.t())
    return total


def marginals(
    emissions: Float[Tensor, "batch time label"],
    transitions: Float[Tensor, "label label"],
    start: Float[Tensor, " label"],
    end: Float[Tensor, " label"],
    mask: Bool[Tensor, "batch time"] | None = None,
) -> Float[Tensor, "batch time label"]:
    """Return the marginal probability of each label at each position; zeros at padding."""
    chain = (emissions.detach(), transitions.detach(), start.detach(), end.detach())
    # The marginals are the gradient of the log partition function. Tensors made in inference mode
    # cannot be differentiated, so it is taken with respect to a copy.
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
    """Return the labels of the path with the highest score, at the real positions of each row.

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
    """Return the best path that ends in ``label``.

    Args:
        label: Last label of the path.
        before: For each position and label, the label before it on the best path to it.
        length: Number of positions of the path.
    """
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
    """Compute the forward algorithm in log space; padding follows the real positions."""
    sums = start + emissions[0]  # logsumexp over all paths to each label
    for now, here in zip(emissions[1:], real[1:, :, None], strict=True):
        ways = torch.logsumexp(sums[:, :, None] + transitions, 1)
        sums = torch.where(here, ways + now, sums)
    return torch.logsumexp(sums + end, 1) * real[0]


class _LogPartition(torch.autograd.Function):
    """The forward-backward algorithm with one matrix product per position and direction.

    The sum over the previous labels, Σ exp(sums + transitions), is computed as
    exp(sums - largest) @ exp(transitions). The gradients are the marginal probabilities of labels
    and of pairs of neighbouring labels.
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
        """Return the label marginals, and the expected number of each pair of labels."""
        last, factors, real, *rest = ctx.saved_tensors
        parts, totals = rest[: len(real) - 1], rest[len(real) - 1 :]
        labels, shares = [last * (gradient * real[0])[:, None]], []
        for part, total, here in reversed([*zip(parts, totals, real[1:, :, None], strict=True)]):
            shares.append(labels[-1] / total * here)  # zero at padding
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
    """Move the real positions of each row to its start; return emissions, labels and mask."""
    if mask is None:
        mask = torch.ones_like(emissions[..., 0], dtype=torch.bool)
    labels = torch.zeros_like(mask, dtype=torch.long) if labels is None else labels
    real, order = mask.sort(dim=1, descending=True, stable=True)
    if real.equal(mask):
        return emissions, labels, real
    places = order[..., None].expand_as(emissions)
    return emissions.gather(1, places), labels.gather(1, order), real


def _wide(scores: Tensor) -> Tensor:
    """Convert scores of lower precision to float32, since sums over many paths need it."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32))
