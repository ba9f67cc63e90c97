"""Regress: numbers in, numbers out, in the unit they came in; what is no number is told."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.batch import Outputs, States
from ensuite.core.errors import DataError, EnsuiteError
from ensuite.core.table import Table
from ensuite.data import readers
from ensuite.data.processors import Columns, Series
from ensuite.tasks.regress import Example, Prediction, Regress
from ensuite.tasks.windowed import Item, Piece

ROWS = [Example(f"a film of {n} stars", 100.0 * n) for n in range(1, 9)]
PAIRS = [Example(np.array([n, -n, n**2]), (1.0 * n, 1000.0 * n)) for n in range(1, 9)]


def read(columns: Mapping[str, Any], task: Regress | None = None, **given: str) -> list[Example]:
    return (task or Regress()).read(readers.read(columns), given)[1]


def rows_of(**columns: Any) -> tuple[Regress, list[Example]]:
    task, examples = Regress().read(readers.read(columns), {})
    return task.prepare(examples), examples


# Which columns are targets


def test_targets_are_numbers_whatever_their_type() -> None:
    for cells in (["1", "2.5"], [1, 2.5], np.array([1, 2.5]), [True, 2.5]):
        assert [e.target for e in read({"text": ["a", "b"], "target": cells})] == [1, 2.5]


def test_targets_are_found_by_name_or_named() -> None:
    assert read({"text": ["a"], "y": [3]})[0].target == 3
    assert read({"text": ["a"], "stars": [3], "y": [4]}, target="stars")[0].target == 3
    both = read({"text": ["a"], "up": [3], "down": [4]}, target="down,up")
    assert both == [Example("a", (4.0, 3.0))]
    numbered = read({"text": ["a"], "target_1": [3], "target_2": [4]})
    assert numbered == [Example("a", (3.0, 4.0))]
    with pytest.raises(DataError, match="no column for the target; it has: text, stars"):
        read({"text": ["a"], "stars": [3]})
    with pytest.raises(DataError, match='no column "dwon" for the target; did you mean down'):
        read({"text": ["a"], "down": [4]}, target="dwon")
    with pytest.raises(DataError, match="names a column twice"):
        read({"text": ["a"], "down": [4]}, target="down,down")


def test_a_target_may_be_any_number_or_a_tuple_of_one() -> None:
    given: list[Any] = [(2.0,), 3, None, np.float32(1.5), np.array([4.0]), np.nan, True, 2.5]
    task = Regress(targets=("y",), mean=(1.0,), deviation=(2.0,))
    scaled = task.scale([Example("a", each) for each in given])
    assert np.array_equal(
        scaled[:, 0], [0.5, 1, np.nan, 0.25, 1.5, np.nan, 0, 0.75], equal_nan=True
    )
    assert task.scale([]).shape == (0, 1)
    scores = task.score([Prediction(2.0), Prediction(4.0)], [Example("a", 1), Example("b", (2,))])
    assert scores["mae"].value == 1.5


def test_an_array_column_holds_several() -> None:
    for y in (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]):
        task, examples = Regress().read(readers.read({"X": np.zeros((2, 5, 1)), "y": y}), {})
        assert [e.target for e in examples] == [(1, 2), (3, 4)]
        assert task.targets == ("y_1", "y_2")
        assert task.processor == Series()


def test_targets_are_no_inputs() -> None:
    (example,) = read({"a": [1], "target": [2], "b": [3]})
    assert example.input.tolist() == [1, 3]
    (example,) = read({"a": [1], "target": [2], "b": [3]}, target="a,b")
    assert example.input.tolist() == [2]


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        (["1", "many"], 'row 2 of the data: "many" in the column target is not a number'),
        (["1", ""], "row 2 of the data: the cell in the column target is empty"),
        ([1, None], "row 2 of the data: the cell in the column target is empty"),
        (["1", "inf"], 'row 2 of the data: "inf" in the column target is not finite'),
        ([1, float("nan")], "row 2"),
        (["1", "2,5"], "has a decimal comma. Write 2.5"),
        ([[1, 2], [3]], "the column target holds lists of no one length"),
        ([[], []], "has no target a row; give at least one number"),
    ],
)
def test_what_is_no_number_is_told_with_its_row(cells: list[Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        read({"text": ["a", "b"], "target": cells})


CELLS = some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=4)


@given(some.lists(CELLS | some.lists(CELLS, max_size=3), min_size=1, max_size=4))
def test_any_column_is_read_or_refused(cells: list[Any]) -> None:
    try:
        examples = read({"text": ["a"] * len(cells), "target": cells})
    except EnsuiteError:
        return
    assert len(examples) == len(cells)
    assert all(np.isfinite(e.target).all() for e in examples if e.target is not None)


def test_a_run_knows_its_columns_again() -> None:
    task, _ = rows_of(a=[1, 2, 3], b=[4, 5, 7], target=[6, 7, 9])
    other = readers.read({"id": [9], "target": [8], "b": [2], "a": [1]})
    assert task.read(other, {})[1][0].input.tolist() == [1, 2]
    assert task.read(other, {})[1][0].target == 8
    asked = readers.read({"b": [2], "a": [1]})
    assert task.read(asked, {}, asking=True)[1] == [Example(pytest.approx([1, 2]))]
    with pytest.raises(DataError, match="no column for the target"):
        task.read(asked, {})
    with pytest.raises(DataError, match="no column a, which the model reads; it has: b, target"):
        task.read(readers.read({"b": [2], "target": [1]}), {})


def test_without_a_header_columns_are_counted() -> None:
    table = Table("rows.csv", {"0": [6, 7, 9], "1": [1, 2, 3]}, 3, has_header=False)
    task, examples = Regress().read(table, {"target": "0"})
    task = task.prepare(examples)
    asked = Table("new.csv", {"0": [5]}, 1, has_header=False)
    assert task.read(asked, {}, asking=True)[1][0].input.tolist() == [5]


def test_another_number_of_targets_is_told() -> None:
    task, _ = rows_of(a=[1, 2, 3], target=[6, 7, 9])
    table = readers.read({"a": [1], "up": [2], "down": [3]})
    with pytest.raises(DataError, match="has 2 targets a row; give 1 target"):
        task.read(table, {"target": "up,down"})
    with pytest.raises(DataError, match="it has 2 targets; training had 1"):
        task.verify(Example(np.array([1.0]), (2.0, 3.0)))
    task.verify(Example(np.array([1.0])))


# What is learned


def test_what_is_typed_becomes_an_example() -> None:
    assert Regress().ask("a") == Example("a")
    assert Regress().ask(Example("a", 2.0)) == Example("a", 2.0)
    row = Regress(processor=Columns(names=("a", "b")))
    for typed in ("1 2.5", "1, 2.5", [1, 2.5], {"b": 2.5, "a": 1}):
        assert row.ask(typed).input.tolist() == [1, 2.5]
    assert Regress(processor=Series()).ask("1 2").input.tolist() == [[1], [2]]
    with pytest.raises(DataError, match='"a film" is not numbers; give the numbers of one row'):
        row.ask("a film")
    with pytest.raises(DataError, match="has no b; give every column"):
        row.ask({"a": 1})
    with pytest.raises(DataError, match="3 is not a text"):
        Regress().ask(3)


def test_targets_are_learned_at_mean_0_and_deviation_1() -> None:
    task = Regress(processor=Columns()).prepare(PAIRS)
    scaled = task.scale(PAIRS)
    assert scaled.mean(0) == pytest.approx([0, 0])
    assert scaled.std(0) == pytest.approx([1, 1])
    for prediction, example in zip(task.predictions(scaled), PAIRS, strict=True):
        assert prediction.value == pytest.approx(example.target)
    batch = task.collate(task.items(PAIRS))
    assert batch.targets["target"].dtype == torch.float32
    assert batch.counts == {"target": 16}


@pytest.mark.parametrize(("criterion", "expected"), [("squared", 1 + 4), ("absolute", 1 + 2)])
def test_the_loss_is_a_sum_over_what_is_known(criterion: Any, expected: float) -> None:
    rows = [*PAIRS, Example(PAIRS[0].input, (float("nan"), 4500.0)), Example(PAIRS[0].input)]
    task = replace(Regress(processor=Columns()).prepare(PAIRS), criterion=criterion)
    batch = task.collate(task.items(rows[-3:]))
    assert batch.counts == {"target": 3}
    off = torch.tensor([[1.0, -2.0], [5.0, 0.0], [7.0, 7.0]])
    values = batch.targets["target"].nan_to_num() + off
    loss = task.loss(Outputs(values, States(values)), batch).parts["target"]
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)


def test_nothing_to_learn_is_told() -> None:
    with pytest.raises(DataError, match="have no targets"):
        Regress().prepare([Example("a")])
    with pytest.raises(DataError, match=r"all have the target 0\.1: there is nothing"):
        Regress().prepare([Example("a", 0.1)] * 7)
    with pytest.raises(DataError, match="have 1 or 2 targets"):
        Regress().prepare([Example("a", 1.0), Example("b", (1.0, 2.0))])
    with pytest.raises(DataError, match="No training row has a number for the target target_2"):
        Regress().prepare([Example("a", (n, float("nan"))) for n in range(3)])


def test_a_steady_target_among_others_is_answered_as_it_is() -> None:
    task = Regress().prepare([Example("a", (n, 7.0)) for n in range(3)])
    assert task.predictions(np.zeros((1, 2))) == [Prediction((1.0, 7.0))]


# Answers and how they are judged


@given(
    some.lists(
        some.lists(some.tuples(some.floats(-9, 9), some.integers(1, 50)), min_size=1, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_windows_are_averaged_by_length(windows: list[list[tuple[float, int]]]) -> None:
    task = Regress().prepare(ROWS)
    items, pieces = [], []
    for example, each in enumerate(windows):
        for value, weight in each:
            items.append(Item(example, np.zeros(weight), np.zeros(1)))
            pieces.append(Piece(np.array([value]), weight))
    merged = task.merge([ROWS[0]] * len(windows), items, pieces)
    for prediction, each in zip(merged, windows, strict=True):
        scaled = sum(v * w for v, w in each) / sum(w for _, w in each)
        assert prediction.value == pytest.approx(450 + task.deviation[0] * scaled)


def test_scores_are_in_the_unit_of_the_targets() -> None:
    task = Regress().prepare(ROWS)
    answers = [Prediction(e.target + sign * 30) for e, sign in zip(ROWS, [1, -1] * 4, strict=True)]  # type: ignore[operator]
    scores = task.score(answers, ROWS)
    assert list(scores) == ["mae", "rmse", "r2"]
    assert scores["mae"].value == pytest.approx(30)
    assert scores["rmse"].value == pytest.approx(30)
    unknown = task.score([*answers, Prediction(0.0)], [*ROWS, Example("b")])
    assert unknown["mae"].value == pytest.approx(30)


def test_several_targets_have_a_score_each() -> None:
    task = Regress(processor=Columns()).prepare(PAIRS)
    answers = [Prediction((n + 1.0, 1000.0 * n)) for n in range(1, 9)]
    scores = task.score(answers, PAIRS)
    assert scores["mae"].value == pytest.approx(0.5)
    assert scores["mae_target_1"].value == pytest.approx(1)
    assert scores["mae_target_2"].value == pytest.approx(0, abs=1e-9)


def test_answers_are_read_and_written() -> None:
    one, two = Regress().prepare(ROWS), Regress(processor=Columns()).prepare(PAIRS)
    assert one.describe(Prediction(151.135213)) == ("151.135", None)
    assert one.records(ROWS[0], Prediction(151.135213)) == [{"answer": 151.135213}]
    assert one.truth(ROWS[0]) == "100"
    assert one.truth(Example("a")) == ""
    assert two.describe(Prediction((1.0, 2.5)))[0] == "target_1 1, target_2 2.5"
    (record,) = two.records(PAIRS[0], Prediction((1.0, 2.5)))
    assert record == {"target_1": 1.0, "target_2": 2.5}
    assert two.truth(PAIRS[0]) == "target_1 1, target_2 1000"


def test_the_farthest_answer_is_the_worst() -> None:
    task = Regress().prepare(ROWS)
    assert task.error(Prediction(100.0), ROWS[0]) == 0
    near, far = (task.error(Prediction(value), ROWS[0]) for value in (80.0, 180.0))
    assert far == pytest.approx(4 * near) == pytest.approx(80 / task.deviation[0])
    assert task.error(Prediction(3.0), Example("a")) == 0


def test_the_check_says_what_guessing_costs() -> None:
    found = dict(Regress().prepare(ROWS).check({"train": ROWS}))
    assert found["target"] == (
        "target: 100 to 800, mean 450; always guessing that is 200 off on average"
    )
    many = [Example("a", tuple(float(n + t) for t in range(11))) for n in range(3)]
    findings = [f.sentence for f in Regress().prepare(many).check({"train": many})]
    assert findings[-1] == "and 3 more"
    assert len(Regress().prepare(many).score([Prediction((0.0,) * 11)] * 3, many)) == 3
