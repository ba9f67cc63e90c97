from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.recipe import Recipe

SCHEDULES = ["constant", "linear", "cosine"]


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [2.0] * 3), ("linear", [2.0, 1.0, 0.0]), ("cosine", [2.0, 1.0, 0.0])],
)
def test_schedules(schedule, rates):
    recipe = Recipe(learning_rate=2.0, schedule=schedule)
    assert [recipe.learning_rate_at(share) for share in (0, 0.5, 1)] == pytest.approx(rates)


def test_cosine_falls_slowly_at_both_ends():
    at = Recipe(learning_rate=1.0, schedule="cosine").learning_rate_at
    assert at(0.1) > 0.9 + 0.05
    assert at(0.9) < 0.1 - 0.05


@given(st.sampled_from(SCHEDULES), st.floats(0, 1), st.floats(0, 2))
def test_the_rate_is_never_beyond_its_highest(schedule, warmup, share):
    recipe = Recipe(learning_rate=0.1, schedule=schedule, warmup=warmup)
    assert 0 <= recipe.learning_rate_at(share) <= 0.1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warmup_rises_to_the_highest_rate(schedule):
    at = Recipe(learning_rate=1.0, schedule=schedule, warmup=0.2).learning_rate_at
    assert [at(0.05), at(0.1), at(0.2)] == pytest.approx([0.25, 0.5, 1.0])


@pytest.mark.parametrize(
    "wrong",
    [{"batch_size": 0}, {"accumulate": 0}, {"learning_rate": -1.0}, {"clip": 0.0}, {"warmup": 2.0},
     {"weight_decay": -0.1}, {"clip_value": 0.0}, {"betas": (0.9, 1.0)}, {"betas": (-0.1, 0.9)},
     {"epsilon": 0.0}, {"layer_decay": 0.0}, {"layer_decay": 1.5}, {"freeze_layers": -1}],
)  # fmt: skip
def test_a_number_that_cannot_train_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Recipe(**wrong)
