"""The public names are typed: mypy accepts what is right, and refuses what is misspelt."""

from pathlib import Path

import pytest

import ensuite

api = pytest.importorskip("mypy.api")

ROOT = Path(__file__).parents[1]
SCRIPT = Path(__file__).with_name("public_names.py")

WRONG = {
    'ensuite.compare("classify", [], budgte="60s")': "budgte",
    'ensuite.train("classify", [], modle="lstm")': "No overload variant",
    'ensuite.train("classify", [], model="lstm").predict(["a"])[0].lable': "lable",
    'ensuite.train("regress", [], model="lstm", seed="one")': "No overload variant",
    "ensuite.tarin": "tarin",
    'ensuite.load("run").folder.nmae': "nmae",
    'ensuite.EnsuiteClassifier(model="lstm", bugdet="60s")': "bugdet",
}


def test_the_script_uses_every_public_name() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    assert [name for name in ensuite.__all__ if name not in text] == []


def test_mypy_accepts_what_is_right_and_refuses_each_misspelling(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text("\n".join(["import ensuite", *WRONG]) + "\n", encoding="utf-8")
    found, errors, _ = api.run(
        ["--strict", "--no-error-summary", "--config-file", str(ROOT / "pyproject.toml"),
         "--cache-dir", str(ROOT / ".mypy_cache"), str(SCRIPT), str(wrong)]
    )  # fmt: skip
    assert errors == ""
    lines = [line for line in found.splitlines() if ": error:" in line]
    assert [line for line in lines if "wrong.py" not in line] == []
    numbered = {int(line.split("wrong.py:")[1].split(":")[0]): line for line in lines}
    assert sorted(numbered) == list(range(2, len(WRONG) + 2)), found
    for line, word in zip(sorted(numbered), WRONG.values(), strict=True):
        assert word in numbered[line]
