"""The command line, called as a person types it, in a folder of its own."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ensuite.cli.app import main


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Command = Callable[[str], Done]


@pytest.fixture
def ensuite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return what runs a command line, without the word ensuite."""
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["ensuite", *shlex.split(line)])
        with pytest.raises(SystemExit) as end:
            main()
        return Done(int(end.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def works(ensuite: Command) -> Command:
    """Return what runs a command that must end well."""

    def call(line: str) -> Done:
        done = ensuite(line)
        assert done.code == 0, done.err
        return done

    return call


@pytest.fixture
def refused(ensuite: Command) -> Callable[..., None]:
    """Return what runs a command that must fail with one sentence that has these words."""

    def call(line: str, code: int, *words: str) -> None:
        done = ensuite(line)
        assert done.code == code, done
        assert done.err.startswith("ensuite: ")
        assert done.err.count("\n") == 1, done.err
        assert [word for word in words if word not in done.err] == [], done.err

    return call


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Return a file of reviews in the folder where commands run."""
    return write_reviews(tmp_path)


def write_reviews(folder: Path) -> Path:
    """Write 60 short texts, half of them of either label."""
    rows = [
        f'"a {word} film, number {n} of them",{label}'
        for n in range(30)
        for word, label in (("good", "positive"), ("bad", "negative"))
    ]
    path = folder / "reviews.csv"
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path
