"""The README is correct: its commands run, and its tree shows the files."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from ensuite.cli.app import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

SHORT = [(r"--budget \S+", "--budget 4steps"), (r"--seeds \d+", "--seeds 1")]


def commands() -> list[str]:
    """Return every ensuite command of the README, with a short budget and one seed."""
    blocks = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    found = [line for line in lines if line.startswith("ensuite ")]
    for pattern, replacement in SHORT:
        found = [re.sub(pattern, replacement, line) for line in found]
    return found


def test_the_commands_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(
        f'"a {word} film, number {n} of them",{label}\n'
        for n in range(30)
        for word, label in (("good", "positive"), ("bad", "negative"))
    )
    Path("reviews.csv").write_text("text,label\n" + rows, encoding="utf-8")
    assert len(commands()) >= 8
    for line in commands():
        monkeypatch.setattr(sys, "argv", shlex.split(line))
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code in (0, None), f"{line}: {capsys.readouterr().err}"


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(code.replace("20s", "4steps"), {})


def test_the_tree_is_that_of_the_captions() -> None:
    tree = runpy.run_path(str(ROOT / "docs" / "tree.py"))["tree"]
    assert tree() in README, "write the output of `python docs/tree.py` into the README"


def test_public_names_stay_functions_whatever_is_imported() -> None:
    import ensuite
    import ensuite.comparison.experiment

    assert callable(ensuite.train)
    assert callable(ensuite.compare)
    assert callable(ensuite.load)
