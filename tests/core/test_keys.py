"""What --split says, and which values are dates."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import UsageError
from ensuite.core.keys import Split, as_date


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("random", Split()),
        ("time", Split(kind="time")),
        ("time:when", Split(kind="time", column="when")),
        ("group", Split(kind="group")),
        ("group:a,b", Split(kind="group", column="a,b")),
        (
            "time:2025-01-01, 2025-05-01T12:00",
            Split(
                kind="time",
                dates=(
                    datetime(2025, 1, 1, tzinfo=UTC),
                    datetime(2025, 5, 1, 12, tzinfo=UTC),
                ),
            ),
        ),
    ],
)
def test_each_form_is_read(typed: str, expected: Split) -> None:
    assert Split.parse(typed) == expected


@given(st.text(max_size=12))
def test_whatever_is_typed_is_a_split_or_a_sentence(typed: str) -> None:
    try:
        assert Split.parse(typed).kind in ("random", "time", "group")
    except UsageError as error:
        assert str(error).startswith("--split ")


@given(st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2200, 1, 1)))
def test_a_date_is_the_same_in_whatever_form(moment: datetime) -> None:
    forms = [moment, moment.isoformat(), moment.replace(tzinfo=UTC), np.datetime64(moment)]
    assert {as_date(form) for form in forms} == {moment.replace(tzinfo=UTC)}
    midnight = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    assert as_date(moment.date()) == as_date(f" {moment.date()} ") == midnight


@pytest.mark.parametrize("value", [None, 3, 2.5, "soon", "", np.datetime64("NaT"), date])
def test_what_is_no_date_is_none(value: object) -> None:
    assert as_date(value) is None
