"""From data to three parts: what is the same problem, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import DataError, EnsuiteError, UsageError
from ensuite.core.keys import Split
from ensuite.core.table import Table
from ensuite.problem import find_task, open_problem, task_options
from ensuite.tasks.classify import Classify

ROWS = [
    {"text": f"a {w} film {n}", "label": w, "who": n % 7}
    for n in range(30)
    for w in ("good", "bad")
]


def open_rows(rows: Any = ROWS, **how: Any) -> Any:
    return open_problem("classify", rows, **how)


def test_the_same_data_and_options_are_the_same_problem() -> None:
    assert open_rows().fingerprint == open_rows().fingerprint
    others = [
        open_rows(ROWS[:-1]),
        open_rows(settings={"window": "100"}),
        open_rows(how="group:who"),
        open_rows(test=ROWS[:6]),
        open_rows(valid=ROWS[:6]),
    ]
    assert len({open_rows().fingerprint, *(each.fingerprint for each in others)}) == 6


def test_another_column_of_the_same_labels_is_another_problem() -> None:
    rows = [{**row, "mood": ROWS[number // 2]["label"]} for number, row in enumerate(ROWS)]
    first = open_rows(rows, given={"label": "label"})
    assert open_rows(rows, given={"label": "mood"}).fingerprint != first.fingerprint


def test_no_input_stands_in_two_parts() -> None:
    parts = open_rows(ROWS * 3).parts
    seen = [{example.input for example in part} for part in parts.values()]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert sum(map(len, parts.values())) == 3 * len(ROWS)


def test_vocabulary_and_scales_come_from_training_rows_alone() -> None:
    test = [{"text": "zebra zebra zebra", "label": "good"}] * 3
    problem = open_rows(test=test)
    assert "zebra" not in problem.task.processor.tokenizer


def test_a_group_is_in_one_part() -> None:
    numbers = [{"x": n, "z": -n, "who": n % 9, "label": "ab"[n % 2]} for n in range(90)]
    parts = open_rows(numbers, how="group:who").parts
    groups = [{int(e.input[0]) % 9 for e in part} for part in parts.values()]
    assert sum(map(len, groups)) == 9
    assert len(parts["train"][0].input) == 2  # who a row is of is no input


def test_time_puts_the_latest_last_and_is_no_input() -> None:
    rows = [
        {"x": n, "date": f"2026-{1 + n % 12:02d}-{1 + n // 12:02d}", "label": "ab"[n // 12 % 2]}
        for n in range(96)
    ]
    when = {row["x"]: row["date"] for row in rows}
    parts = open_rows(rows, how="time").parts
    dates = [[when[e.input[0]] for e in parts[part]] for part in ("train", "valid", "test")]
    assert max(dates[0]) < min(dates[1])
    assert max(dates[1]) < min(dates[2])


def test_columns_are_counted_as_in_the_file_whatever_is_left_out() -> None:
    rows = [{"who": n % 9, "x": n, "kind": "ab"[n % 2]} for n in range(90)]
    problem = open_rows(rows, how="group:0", given={"label": "2"})
    assert problem.task.labels.names == ("a", "b")


def test_what_is_to_be_ignored_is_no_input() -> None:
    rows = [{"id": f"n{n}", "x": n, "when": 9 * n, "target": 2 * n} for n in range(40)]
    problem = open_problem("regress", rows, given={"ignore": "id,when", "target": "3"})
    assert problem.task.processor.names == ("x",)
    with pytest.raises(DataError, match='no column "idea" for the ignore'):
        open_problem("regress", rows, given={"ignore": "idea"})


def test_settings_reach_the_task_and_what_is_within() -> None:
    task = open_rows(settings={"class_weight": "balanced", "unit": "pieces", "window": "90"}).task
    assert (task.class_weight, task.processor.unit, task.processor.window) == (
        "balanced",
        "pieces",
        90,
    )
    assert {"separator", "unit", "window"} <= task_options(find_task("classify"))


@pytest.mark.parametrize(
    ("how", "error", "sentence"),
    [
        ({"how": "weekly"}, UsageError, "--split weekly"),
        ({"how": "group:author"}, DataError, 'no column "author" for the group'),
        ({"how": "time"}, DataError, "no column for the time"),
        ({"how": "time:2025-01-01,2025-02-01"}, DataError, "no column for the time"),
        ({"given": {"label": "lable"}}, DataError, "did you mean label"),
        ({"given": {"lable": "label"}}, UsageError, "nothing is called lable"),
        ({"settings": {"windw": "3"}}, UsageError, "did you mean window"),
        ({"settings": {"window": "0"}}, UsageError, "window must be 1 or more"),
        ({"test": [{"text": "a", "label": "fair"}]}, DataError, 'row 1 of the data: .*"fair"'),
        ({"test": [{"x": 1, "label": "good"}]}, DataError, "same kind of inputs and labels"),
        ({"test": [{"text": "a", "label": ["good"]}]}, DataError, "same kind of inputs and labels"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told(how: dict[str, Any], error: type, sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        open_rows(**how)


def test_the_column_that_splits_is_read_by_a_task_that_knows_its_role(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, Any] = {}

    def read(self: Classify, table: Table, given: Any, **how: Any) -> Any:
        seen.update(columns=[*table.columns], given=dict(given))
        return original(self, table, given, **how)

    def divide(self: Classify, parts: Any, split: Split) -> Any:
        seen["split"] = split
        return super(Classify, self).divide(parts, split)

    original = Classify.read
    monkeypatch.setattr(Classify, "roles", (*Classify.roles, "time"))
    monkeypatch.setattr(Classify, "read", read)
    monkeypatch.setattr(Classify, "divide", divide)
    rows = [{"text": f"a film {n}", "label": "ab"[n % 2], "day": n} for n in range(40)]
    open_problem("classify", rows, how="time:day")
    assert seen["columns"] == ["text", "label", "day"]
    assert seen["given"] == {"time": "day"}
    assert (seen["split"].kind, list(seen["split"].values)) == ("time", [*range(40)])


def test_dates_divide_by_a_column_of_dates() -> None:
    rows = [
        {"text": f"a film {n}", "label": "ab"[n % 2], "date": f"2025-{1 + n // 4:02d}-01"}
        for n in range(48)
    ]
    how = "time:2025-05-01,2025-09-01"
    problem = open_problem("classify", rows, how=how)
    assert [len(part) for part in problem.parts.values()] == [16, 16, 16]
    said = "16 train, 16 valid, 16 test (by date; --test FILE to give your own)"
    assert problem.findings[-1].sentence == said
    with pytest.raises(UsageError, match='and "x" is not a date'):
        open_problem("classify", [{**row, "date": "x"} for row in rows], how=how)


def test_a_task_may_keep_a_part_apart_to_calibrate_by(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = open_rows()
    assert usual.held_out == usual.parts["valid"]
    monkeypatch.setattr(Classify, "calibration_share", 0.25)
    problem = open_rows()
    assert problem.held_out == problem.parts["calibration"]
    assert len(problem.held_out) == round(0.25 * len(usual.parts["train"]))
    assert "calibration (random, seed 0" in problem.findings[-1].sentence


def test_the_column_that_splits_is_no_input_unless_it_is_named_as_one() -> None:
    rows = [{"en": f"{n // 2} books", "fr": f"{n} livres"} for n in range(40)]
    problem = open_problem(
        "translate", rows, given={"source": "en", "target": "fr"}, how="group:en"
    )
    sides = [{example.source for example in part} for part in problem.parts.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 20  # no source stands in two parts
    with pytest.raises(DataError, match="no column for the source"):
        open_problem("translate", rows, how="group:en")


CELLS = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(), some.text(max_size=5)
)


@given(some.lists(some.fixed_dictionaries({"text": CELLS, "label": CELLS}), max_size=12))
def test_any_rows_make_a_problem_or_a_sentence(rows: list[dict[str, Any]]) -> None:
    try:
        problem = open_rows(rows)
    except EnsuiteError as error:
        assert str(error).rstrip()[-1] in ".)"
    else:
        assert sum(map(len, problem.parts.values())) == len(rows)
