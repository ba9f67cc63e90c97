from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import UsageError
from ensuite.training.budget import Budget, Spent


@pytest.mark.parametrize(
    ("text", "amount", "unit", "shown"),
    [
        ("60s", 60, "seconds", "1 m"),
        ("90 s", 90, "seconds", "90 s"),
        ("3m", 180, "seconds", "3 m"),
        ("1.5H", 5400, "seconds", "90 m"),
        ("1step", 1, "steps", "1 steps"),
        ("500steps", 500, "steps", "500 steps"),
        ("20updates", 20, "steps", "20 steps"),
        ("1epoch", 1, "epochs", "1 epochs"),
        ("0.5epochs", 0.5, "epochs", "0.5 epochs"),
        ("7tok", 7, "tokens", "7 tokens"),
        ("1token", 1, "tokens", "1 tokens"),
        (" 2e6 tokens ", 2e6, "tokens", "2e+06 tokens"),
    ],
)
def test_every_unit(text, amount, unit, shown):
    budget = Budget.parse(text)
    assert budget == Budget(amount, unit, patience=None)
    assert str(budget) == shown


def test_without_a_budget_training_stops_when_it_gains_no_more():
    assert Budget.parse(None) == Budget(600, "seconds", patience=5)
    assert str(Budget()) == "until 5 evaluations bring no gain, 10 m at most"
    assert str(Budget(9, "steps", 2)) == "until 2 evaluations bring no gain, 9 steps at most"


@pytest.mark.parametrize("text", ["", "60", "s", "-1s", "60 parsecs", "1,5m", "1e s", "٣s"])
def test_nonsense_meets_an_example(text):
    with pytest.raises(UsageError, match=r"is no budget: give a number and one of s, m, h, steps"):
        Budget.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [("0s", "more than 0"), ("1e999m", "not without end"), ("1.2.3s", "number")],
)
def test_an_amount_is_a_number_above_nothing(text, message):
    with pytest.raises(UsageError, match=f"--budget {text}: .*{message}"):
        Budget.parse(text)


@given(st.text() | st.from_regex(r"[0-9.]+(e[0-9]+)? ?[a-z]+"))
def test_any_text_is_a_budget_or_a_usage_error(text):
    with suppress(UsageError):
        assert 0 < Budget.parse(text).amount < float("inf")


def test_a_share_is_of_what_the_budget_counts():
    spent = Spent(seconds=30, steps=5, epochs=0.25, tokens=100)
    shares = [Budget.parse(text).share(spent) for text in ("1m", "20steps", "1epoch", "50tokens")]
    assert shares == [0.5, 0.25, 0.25, 2.0]
