"""Texts within a pattern or a JSON schema on the command line, and in Python."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import ensuite as package

from .conftest import Command

pytest.importorskip("llguidance")

VERSE = 'the cat sat on the mat in 1913, {"name": "bob", "age": 42}\n'


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("constrain")
    (folder / "song.txt").write_text(VERSE * 40, encoding="utf-8")
    how = {"settings": {"unit": "characters"}, "out": folder / "run"}
    package.train("generate", folder / "song.txt", model="n-gram", **how)
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_a_pattern_is_kept_and_ends_the_text(works: Command, run: Path) -> None:
    for seed in range(3):
        out = works(f"generate run 'the year ' --regex '1[0-9]{{3}}' --seed {seed}").out
        assert re.fullmatch(r"the year 1[0-9]{3}\n", out)


def test_the_model_chooses_what_is_likely_within_the_pattern(works: Command, run: Path) -> None:
    line = "generate run 'the cat sat on the ' --regex 'dog|mat|sun' --temperature 0"
    assert works(line).out == "the cat sat on the mat\n"


def test_a_schema_is_followed(works: Command, run: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"enum": ["ann", "bob"]}, "age": {"type": "integer", "maximum": 99}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    (run.parent / "person.json").write_text(json.dumps(schema), encoding="utf-8")
    (found,) = json.loads(works("generate run in --json-schema person.json --json").out)
    person = json.loads(found["text"])
    assert person["name"] in ("ann", "bob")
    assert person["age"] <= 99
    text = package.load(run).generate("in", json_schema=schema, temperature=0)
    assert json.loads(text) == {"name": "bob", "age": 42}


def test_a_text_that_had_to_end_too_early_is_told(works: Command, run: Path) -> None:
    done = works("generate run the --regex ' [a-z]{30}' --max-new-tokens 5")
    assert "A text ended before it followed the whole pattern or schema" in done.err
    assert "ended before" not in works("generate run the --regex ' cat' --max-new-tokens 4").err


def test_what_cannot_be_followed_is_refused(refused: Callable[..., None], run: Path) -> None:
    refused("generate run the --regex '(a'", 2, "The pattern (a cannot be followed: unclosed")
    refused("generate run the --regex a --beam 2", 2, "A beam search keeps to no pattern")
    refused("generate run the --regex 日", 2, "No token of the model continues the text")
    refused("generate run the --json-schema nowhere.json", 2, "nowhere.json cannot be read")
    (run.parent / "bad.json").write_text('{"type": "thing"}', encoding="utf-8")
    refused("generate run the --json-schema bad.json", 2, "Invalid type: thing")
