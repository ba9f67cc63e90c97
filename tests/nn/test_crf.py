"""The CRF beside a sum over every path, written out."""

from itertools import pairwise, product

import pytest
import torch
import torch.nn.functional as F

from ensuite.core.batch import IGNORE
from ensuite.nn import crf

ROWS, TIME, LABELS = 4, 4, 3

MASKS = {
    "full": None,
    "right": [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]],
    "left": [[0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1]],
    "anywhere": [[1, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 0], [1, 1, 0, 1]],
    "empty": [[0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]],
}
SPREADS = {"multiplied": 1.0, "defined": 100.0}  # above MAX_RANGE, in log space
everywhere = pytest.mark.parametrize(
    "mask", [each and torch.tensor(each).bool() for each in MASKS.values()], ids=MASKS.keys()
)
both_ways = pytest.mark.parametrize("spread", SPREADS.values(), ids=SPREADS.keys())


def chain(spread=1.0, dtype=torch.float64):
    shapes = [(ROWS, TIME, LABELS), (LABELS, LABELS), (LABELS,), (LABELS,)]
    scores = [torch.randn(shape, dtype=dtype) for shape in shapes]
    scores[1] *= spread
    return crf.Chain(*(each.requires_grad_() for each in scores))


def every_path(scores, row, mask):
    """Return all paths through a row's real positions, and the score of each."""
    emissions, transitions, start, end = scores
    real = range(TIME) if mask is None else mask[row].nonzero().flatten().tolist()
    paths = list(product(range(LABELS), repeat=len(real)))
    totals = []
    for path in paths:
        total = emissions.new_zeros(()) if not path else start[path[0]] + end[path[-1]]
        for place, label in zip(real, path, strict=True):
            total = total + emissions[row, place, label]
        for before, after in pairwise(path):
            total = total + transitions[before, after]
        totals.append(total)
    return paths, torch.stack(totals)


def by_hand(scores, mask):
    return torch.stack([every_path(scores, row, mask)[1].logsumexp(0) for row in range(ROWS)])


@everywhere
@both_ways
def test_the_sum_over_all_paths_and_its_gradients(mask, spread):
    ours = chain(spread)
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    totals, expected = crf.log_partition(*ours, mask), by_hand(ours, mask)
    torch.testing.assert_close(totals, expected)
    mine = torch.autograd.grad((totals * weights).sum(), ours)
    theirs = torch.autograd.grad((expected * weights).sum(), ours)
    torch.testing.assert_close(mine, theirs)


@everywhere
def test_the_score_of_a_path(mask):
    scores = chain()
    labels = torch.randint(LABELS, (ROWS, TIME))
    given = labels if mask is None else labels.masked_fill(~mask, IGNORE)
    for row, found in enumerate(crf.path_score(*scores, given, mask)):
        paths, totals = every_path(scores, row, mask)
        path = tuple((labels[row] if mask is None else labels[row][mask[row]]).tolist())
        torch.testing.assert_close(found, totals[paths.index(path)])


@everywhere
@both_ways
def test_the_best_path(mask, spread):
    scores = chain(spread)
    for row, found in enumerate(crf.viterbi(*scores, mask)):
        paths, totals = every_path(scores, row, mask)
        assert tuple(found) == paths[int(totals.argmax())]


@everywhere
@both_ways
def test_how_probable_each_label_is(mask, spread):
    scores = chain(spread)
    found = crf.marginals(*scores, mask)
    for row in range(ROWS):
        paths, totals = every_path(scores, row, mask)
        expected = torch.zeros(TIME, LABELS, dtype=torch.float64)
        real = range(TIME) if mask is None else mask[row].nonzero().flatten().tolist()
        for path, probability in zip(paths, totals.softmax(0).detach(), strict=True):
            for place, label in zip(real, path, strict=True):
                expected[place, label] += probability
        torch.testing.assert_close(found[row], expected)


def test_nobody_learns_from_asking_how_probable_a_label_is():
    scores = chain()
    with torch.no_grad():
        assert not crf.marginals(*scores).requires_grad


@everywhere
@both_ways
def test_gradients_by_differences(mask, spread):
    assert torch.autograd.gradcheck(
        lambda *scores: crf.log_partition(*scores, mask), tuple(chain(spread))
    )


@everywhere
def test_the_loss_is_a_sum_over_the_rows(mask):
    scores = chain()
    labels = torch.randint(LABELS, (ROWS, TIME))
    found = crf.negative_log_likelihood(*scores, labels, mask)
    expected = by_hand(scores, mask) - crf.path_score(*scores, labels, mask)
    torch.testing.assert_close(found, expected.sum())
    assert (expected >= -1e-12).all()


@everywhere
def test_unknown_labels_may_be_any(mask):
    scores = chain()
    labels = torch.randint(LABELS, (ROWS, TIME))
    labels[0, 2] = labels[1, 1:4] = labels[2] = IGNORE
    expected = 0.0
    for row in range(ROWS):
        paths, totals = every_path(scores, row, mask)
        known = labels[row] if mask is None else labels[row][mask[row]]
        fits = [
            all(want in (IGNORE, label) for want, label in zip(known.tolist(), path, strict=True))
            for path in paths
        ]
        expected = expected + totals.logsumexp(0) - totals[torch.tensor(fits)].logsumexp(0)
    found = crf.negative_log_likelihood(*scores, labels, mask)
    torch.testing.assert_close(found, expected)
    gradients = torch.autograd.grad(found, scores), torch.autograd.grad(expected, scores)
    torch.testing.assert_close(*gradients)
    assert (gradients[0][0][2] == 0).all()  # a row without labels teaches nothing


def test_what_stands_at_padding_is_not_read():
    mask = torch.tensor(MASKS["anywhere"]).bool()
    scores, labels = chain(), torch.randint(LABELS, (ROWS, TIME))
    other = scores._replace(emissions=scores.emissions.masked_fill(~mask[..., None], 1e6))
    for function in (crf.log_partition, crf.marginals, crf.viterbi):
        torch.testing.assert_close(function(*scores, mask), function(*other, mask), rtol=0, atol=0)
    before = crf.negative_log_likelihood(*scores, labels, mask)
    after = crf.negative_log_likelihood(*other, labels.masked_fill(~mask, 0), mask)
    assert torch.equal(before, after)
    assert not torch.autograd.grad(after, scores.emissions)[0][~mask].any()


def test_more_padding_changes_nothing():
    scores = chain()
    mask = torch.ones(ROWS, TIME, dtype=torch.bool)
    for sides in [(0, 3), (2, 0), (1, 4)]:
        wider = scores._replace(emissions=F.pad(scores.emissions, (0, 0, *sides)))
        more = F.pad(mask, sides)
        assert torch.equal(crf.log_partition(*scores), crf.log_partition(*wider, more))
        assert crf.viterbi(*scores) == crf.viterbi(*wider, more)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("forbidden", [-20.0, -1e4])
def test_large_scores_stay_exact(dtype, forbidden):
    scores = chain(dtype=torch.float64)
    large = scores._replace(
        emissions=scores.emissions.detach() * 1e3,
        transitions=scores.transitions.detach().index_fill(1, torch.tensor([1]), forbidden),
    )
    given = crf.Chain(*(each.detach().to(dtype).requires_grad_() for each in large))
    found = crf.log_partition(*given)
    torch.testing.assert_close(found.double(), by_hand(given, None).double(), rtol=1e-6, atol=0)
    for gradient in torch.autograd.grad(found.sum(), given):
        assert gradient.isfinite().all()


def test_halves_are_summed_in_float32():
    emissions = torch.randn(ROWS, TIME, LABELS, dtype=torch.bfloat16, requires_grad=True)
    layer = crf.CRF(LABELS).bfloat16()
    labels = torch.randint(LABELS, (ROWS, TIME))
    loss = crf.negative_log_likelihood(*layer(emissions), labels)
    wide = crf.negative_log_likelihood(*crf.CRF(LABELS)(emissions.float()), labels)
    assert loss.dtype == torch.float32 and torch.equal(loss, wide)
    loss.backward()
    assert emissions.grad.dtype == torch.bfloat16


def test_it_starts_as_a_softmax_at_every_position():
    layer = crf.CRF(LABELS)
    emissions, labels = torch.randn(ROWS, TIME, LABELS), torch.randint(LABELS, (ROWS, TIME))
    loss = crf.negative_log_likelihood(*layer(emissions), labels)
    expected = F.cross_entropy(emissions.flatten(0, 1), labels.flatten(), reduction="sum")
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(crf.marginals(*layer(emissions)), emissions.softmax(-1))
    assert crf.viterbi(*layer(emissions)) == emissions.argmax(-1).tolist()


def test_it_learns_what_follows_what():
    """Emissions say nothing; the labels alternate."""
    layer = crf.CRF(2)
    emissions, labels = torch.zeros(1, 6, 2), torch.tensor([[0, 1, 0, 1, 0, 1]])
    optimizer = torch.optim.Adam(layer.parameters(), 0.1)
    for _ in range(50):
        optimizer.zero_grad()
        loss = crf.negative_log_likelihood(*layer(emissions), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.2
    assert crf.viterbi(*layer(emissions)) == labels.tolist()
