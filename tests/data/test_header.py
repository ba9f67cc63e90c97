"""The first row names the columns, or is a row: settled by what it holds and what the user says."""

import re
from pathlib import Path

import pytest

from ensuite.catalog import tasks
from ensuite.core.table import Table
from ensuite.data import inputs, readers
from ensuite.data.header import USUAL, settle
from ensuite.problem import open_problem

AMBIGUOUS = {"ner", "pos"}
"""Names of columns that are as often a label."""


def table(tmp_path: Path, *lines: str) -> Table:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return readers.read(path)


def test_all_names_that_tasks_look_for_make_a_header() -> None:
    for row in tasks.values():
        row.load()
    import sys

    modules = [inputs, *(sys.modules[row.target.partition(":")[0]] for row in tasks.values())]
    names = {
        name
        for module in modules
        for constant, value in vars(module).items()
        if re.fullmatch("[A-Z]+_NAMES", constant)
        for name in value
    }
    assert len(names) > 30
    assert names - AMBIGUOUS <= USUAL


@pytest.mark.parametrize(
    ("lines", "given", "header"),
    [
        (["text,label", "a,b"], {}, True),
        (["Text ,mark", "a,b"], {"text": "0", "label": "1"}, True),  # a usual name is a name
        (["target_1,z", "1,b"], {}, True),
        (["a good film,pos", "a bad film,neg"], {"text": "0", "label": "1"}, False),
        (["a good film,pos", "a bad film,neg"], {"text": "a good film"}, True),
        (["a good film,pos", "a bad film,neg", "a fine film,pos"], {}, False),
        (["lorry,camion", "house,maison"], {}, False),
        (["english,french", "a big house,une grande maison", "the sea,la mer"], {}, True),
        (["height,weight", "1,2", "3,4"], {}, True),
        (["when,height", "2024-01-31,1", "2024-02-01,", "2024-02-02,3"], {}, True),
        (["when,share", "31/01/2024 10:00,5.1%", "01/02/2024 10:00,4%"], {}, True),
        (["open,paid", "true,€5", "false,€12.5"], {}, True),
        (["2024-01-31,1", "2024-02-01,2"], {}, False),
        (["tweet,when,who", "a b c d e,1,z"], {}, True),  # named by the user, or told
        (["tweet,when,who", "a b c d e,1,z"], {"text": "0"}, False),
        (["tweet", "a b c d e"], {}, True),
    ],
)
def test_a_first_row_is_a_header_or_a_row(
    lines: list[str], given: dict[str, str], header: bool, tmp_path: Path
) -> None:
    read = table(tmp_path, *lines)
    settled = settle(read, given)
    assert settled.has_header == header
    assert settled.rows == len(lines) - header
    if not header:
        cells = [",".join(row) for row in zip(*settled.columns.values(), strict=True)]
        assert cells == lines
        assert "row" in settled.notes[-1]


def test_one_column_of_inputs_needs_no_header(tmp_path: Path) -> None:
    films = table(tmp_path, "a good film", "a bad one")
    assert settle(films, {}, asking=True).columns == {"0": ["a good film", "a bad one"]}
    assert settle(table(tmp_path, "Review", "a bad one"), {}, asking=True).rows == 1
    assert settle(table(tmp_path, "height", "1.5"), {}, asking=True).rows == 1
    assert table(tmp_path, "a good film").columns == {"0": ["a good film"]}  # all there is


def test_pairs_without_a_header_are_all_learned_from(tmp_path: Path) -> None:
    lines = [f"the house {n}\tla maison {n}" for n in range(30)]
    path = tmp_path / "pairs.tsv"
    path.write_text("\n".join(lines), encoding="utf-8")
    for given in ({}, {"source": "0", "target": "1"}):
        problem = open_problem("translate", str(path), given=given)
        assert sum(map(len, problem.parts.values())) == 30
        assert any(finding.topic == "reading" for finding in problem.findings)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [";", "\t", "^"])
def test_excel_names_the_delimiter(mark: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"sep={mark}", f"text{mark}label", f"a, b{mark}1"]
    path.write_bytes(end.join(rows).encode() + end.encode())
    read = readers.read(path)
    assert read.columns == {"text": ["a, b"], "label": ["1"]}
    assert "separated" in read.notes[0]
