"""SQuAD's JSON: a row for each question, and a sentence for each file that is damaged."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ensuite.core.errors import DataError
from ensuite.data import readers, squad
from ensuite.data.jsonfile import parse_json


def file() -> dict[str, Any]:
    answer = {"text": "324 m", "answer_start": 20}
    given = [
        {"id": "1", "question": "Quelle hauteur ?", "answers": [answer]},
        {
            "id": "2",
            "question": "Pourquoi ?",
            "is_impossible": True,
            "answers": [],
            "plausible_answers": [answer],
        },
    ]
    paragraph = {"context": "La tour Eiffel fait 324 m.", "qas": given}
    return {"version": "v2.0", "data": [{"title": "Tour", "paragraphs": [paragraph]}]}


@pytest.mark.parametrize("packed", [False, True])
def test_each_question_is_a_row(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("dev.json.gz" if packed else "dev.json")
    content = json.dumps(file()).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    table = readers.read(path)
    assert table.rows == 2
    assert list(table.columns) == ["id", "article", "context", "question", "answers"]
    assert table.columns["article"] == ["Tour", "Tour"]
    assert table.columns["answers"] == [[{"text": "324 m", "answer_start": 20}], []]


def test_other_json_with_data_is_read_as_before() -> None:
    assert not squad.is_squad({"data": [1, 2]})
    assert not squad.is_squad({"data": []})
    assert parse_json('{"data": ["a", "b"]}', "f").columns == {"data": ["a", "b"]}


def drop(*path: Any) -> Callable[[Any], None]:
    def change(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        del value[path[-1]]

    return change


def empty(value: Any) -> None:
    value["data"][0]["paragraphs"][0]["qas"] = []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            drop("data", 0, "paragraphs", 0, "qas"),
            "paragraph 1 of article 1 of f has no list",
        ),
        (drop("data", 0, "paragraphs", 0, "qas", 0, "question"), 'has no "question"'),
        (empty, "f has articles and no question"),
    ],
)
def test_a_damaged_file_is_told(change: Callable[[Any], None], said: str) -> None:
    value = file()
    change(value)
    with pytest.raises(DataError, match=said):
        parse_json(json.dumps(value), "f")


def test_real_files_are_read(data_folder: Path) -> None:
    table = readers.read(data_folder / "squad11" / "dev-v1.1.json.gz")
    assert table.rows == 10570
    piaf = readers.read(data_folder / "piaf_fr" / "piaf-150.json.gz")
    assert len(set(piaf.columns["article"])) == 150
