"""How probable continuations are after prompts, against the definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some

from ensuite.core.batch import Batch, Tokens
from ensuite.core.model import Model
from ensuite.decoding.likelihood import by_length, log_likelihoods
from ensuite.models.gpt import GPTOptions
from ensuite.models.recurrent import RecurrentOptions
from ensuite.nn.heads import TokenHead

SIZE = 7
TEXTS = some.lists(some.integers(0, SIZE - 1), min_size=1, max_size=5)


@pytest.fixture(scope="module", params=[RecurrentOptions(cell="gru"), GPTOptions()])
def model(request: pytest.FixtureRequest) -> Model:
    torch.manual_seed(0)
    backbone = request.param.tiny().build({"tokens": Tokens(SIZE)})
    return Model(backbone, TokenHead(backbone.sequence_width, SIZE)).eval()


def alone(model: Model, prompt: list[int], text: list[int]) -> float:
    """Return the log probability by one pass over prompt and text."""
    batch = Batch(inputs={"tokens": torch.tensor([prompt + text])})
    with torch.no_grad():
        scores = model(batch).values[0].log_softmax(-1)
    places = range(len(prompt) - 1, len(prompt) + len(text) - 1)
    return float(sum(scores[place, token] for place, token in zip(places, text, strict=True)))


@settings(max_examples=15)
@given(some.lists(TEXTS, min_size=1, max_size=4), some.lists(TEXTS, min_size=1, max_size=3))
def test_it_is_what_one_pass_over_both_gives(
    model: Model, prompts: list[list[int]], texts: list[list[int]]
) -> None:
    expected = [[alone(model, prompt, text) for text in texts] for prompt in prompts]
    np.testing.assert_allclose(log_likelihoods(model, prompts, texts), expected, atol=1e-4)


@settings(max_examples=10)
@given(TEXTS, some.lists(TEXTS, min_size=2, max_size=4))
def test_a_beginning_that_all_prompts_share_changes_nothing(
    model: Model, text: list[int], ends: list[list[int]]
) -> None:
    prompts = [[n * n % SIZE for n in range(20)] + end for end in ends]
    expected = [[alone(model, prompt, text)] for prompt in prompts]
    np.testing.assert_allclose(log_likelihoods(model, prompts, [text]), expected, atol=1e-4)


def test_many_prompts_of_one_length_are_the_same_as_each(model: Model) -> None:
    prompts, texts = [[n % SIZE, n // SIZE % SIZE] for n in range(49)], [[1], [2, 3, 4]]
    together = log_likelihoods(model, prompts, texts)
    apart = np.concatenate([log_likelihoods(model, [prompt], texts) for prompt in prompts])
    np.testing.assert_allclose(together, apart, atol=1e-5)


def test_the_tokens_that_may_come_next_add_up_to_one(model: Model) -> None:
    (scores,) = log_likelihoods(model, [[1, 2, 3]], [[token] for token in range(SIZE)])
    assert np.exp(scores).sum() == pytest.approx(1.0)


@given(some.lists(TEXTS), some.integers(1, 4))
def test_every_sequence_is_in_one_group_of_its_length(texts: list[list[int]], most: int) -> None:
    groups = list(by_length(texts, most))
    assert sorted(number for group in groups for number in group) == list(range(len(texts)))
    for group in groups:
        assert len(group) <= most
        assert len({len(texts[number]) for number in group}) == 1
