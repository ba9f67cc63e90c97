"""Labels keep their names, and their numbers keep one order."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.batch import IGNORE
from ensuite.core.errors import UnknownLabelError
from ensuite.data.labels import Labels


@given(some.lists(some.text()), some.randoms())
def test_order_of_rows_changes_nothing(names: list[str], random: object) -> None:
    labels = Labels.learn(names)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert Labels.learn(names) == labels
    assert [labels.encode(name) for name in labels.names] == list(range(len(labels)))
    assert set(labels.names) == set(names)


def test_numbers_stand_in_their_own_order() -> None:
    assert Labels.learn(["10", "9", "-1"]).names == ("-1", "9", "10")
    assert Labels.learn(["10", "9", "x"]).names == ("10", "9", "x")


@given(some.lists(some.text(alphabet="-0123²٣", max_size=4), max_size=6))
def test_whatever_looks_like_a_number_is_learned(names: list[str]) -> None:
    assert set(Labels.learn(names).names) == set(names)


def test_what_no_training_row_had_is_told() -> None:
    labels = Labels(("negative", "positive"))
    assert labels.encode(None) == IGNORE
    with pytest.raises(UnknownLabelError, match=r'"positiv" .*did you mean positive.*Add rows'):
        labels.encode("positiv")
    with pytest.raises(UnknownLabelError, match=r"trained on: 0, 1, .*9, \.\.\.\)"):
        Labels.learn(map(str, range(12))).encode("x")
