import numpy as np
import pytest
import torch
from scipy import sparse

from ensuite.core.batch import Values
from ensuite.core.errors import DataError
from ensuite.core.score import Score
from ensuite.training.evaluate import predict, rows_at_once, standard_error
from stress import test_masked_words as masked
from training.line import Line, examples, start


class Noisy(Line):
    """Noise belongs to the items that are asked, and is drawn anew by training alone."""

    def items(self, examples, *, asking=False):
        return [([x + 0.1 * asking for x in row], target) for row, target in examples]

    def collate(self, items, generator=None):
        assert generator is None
        return super().collate(items)


class Longest(Line):
    """Reads the largest rows first, as a task of texts reads the longest."""

    def length(self, item):
        return item[1]


def ask(task, examples, **how):
    return predict(task, start().model, examples, **how)


def test_predictions_stand_in_the_order_of_the_examples_whatever_the_batches():
    asked = examples(10)
    expected = ask(Line(), asked, size=1)
    for size in (3, 10, 64):
        torch.testing.assert_close(ask(Longest(), asked, size=size), expected)
    items = [*asked]
    torch.testing.assert_close(ask(Line(), asked, items=items), expected)


class Steps(Longest):
    """Reads series, each with the length that an item tells."""

    inputs = {"values": Values(1)}


@pytest.mark.parametrize(
    ("longest", "rows"),
    [(1, 512), (16, 512), (32, 256), (128, 64), (512, 64), (5000, 6), (10**6, 1), (0, 512)],
)
def test_short_series_are_answered_many_at_once_and_long_ones_few(longest, rows):
    assert rows_at_once(Steps(), [(0, 0), (0, longest)]) == rows


@pytest.mark.parametrize(("numbers", "rows"), [(1, 512), (784, 512), (4096, 128), (50_000, 10)])
def test_rows_of_many_numbers_are_answered_fewer_at_once(numbers, rows):
    assert rows_at_once(Longest(), [(0, 0), (0, numbers)]) == rows


def test_nothing_asked_is_nothing_answered():
    assert ask(Line(), []) == []


@pytest.mark.parametrize("training", [True, False])
def test_the_model_answers_without_dropout_and_is_left_as_it_was(training):
    model = start().model.train(training)
    assert predict(Line(), model, examples(4)) == predict(Line(), model, examples(4))
    assert model.training == training
    assert all(p.grad is None for p in model.parameters())


def test_items_are_asked_and_no_random_number_is_drawn():
    state = torch.get_rng_state()
    model = start().model
    torch.set_rng_state(state)
    once = predict(Noisy(), model, examples(9), size=2)
    assert once != predict(Line(), model, examples(9), size=2)
    assert torch.get_rng_state().equal(state)


def test_an_id_without_an_embedding_is_refused_before_the_model_sees_it():
    model = masked.start().model
    words, follows, _ = masked.VALID[0]
    with pytest.raises(DataError, match="the id 99 in tokens"):
        predict(masked.Fill(), model, [([99, *words[1:]], follows, 3)])


@pytest.mark.parametrize("count", [2, 7, 50, 51, 2000])
def test_the_standard_error_of_a_mean_is_that_of_the_textbook(count):
    values = np.random.default_rng(1).normal(size=count)
    score = Score.mean(values, np.ones(count))
    expected = values.std(ddof=1) / count**0.5
    # Up to 50 examples each is a group of its own, which is exact for a mean.
    assert standard_error(score) == pytest.approx(expected, rel=1e-6 if count <= 50 else 0.25)
    assert standard_error(score) == standard_error(score)
    spread = Score(sparse.csr_array(score.statistics), score.function)
    assert standard_error(spread) == pytest.approx(standard_error(score))


def test_a_standard_error_needs_two_examples_that_count():
    assert standard_error(Score.mean([1.0], [True])) is None
    assert standard_error(Score.mean([1.0, 2.0], [False, False])) is None
    assert standard_error(Score.mean([1.0, 1.0], [True, True])) == 0.0
