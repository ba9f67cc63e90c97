"""A run that was killed or interrupted resumes and ends with the same result."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Command, write_reviews

PROGRAM = """
import os, signal, sys
from ensuite.cli.app import main
from ensuite.cli.progress import TerminalProgress
from ensuite.training import checkpoints

checkpoints.SAVE_EVERY, checkpoints.LARGEST_SHARE = 0.0, 1e9
stop_in, stop_at, how = sys.argv.pop(1), int(sys.argv.pop(1)), sys.argv.pop(1)

class Stop(TerminalProgress):
    def begin(self, name, training):
        self.name = f"{name}/{training.seed}"
        super().begin(name, training)

    def update(self, training, progress):
        if self.name == stop_in and progress.update == stop_at:
            if how == "WAIT":
                print("waiting", flush=True)
                signal.pause()
            os.kill(os.getpid(), getattr(signal, how))

import ensuite.cli.progress
ensuite.cli.progress.TerminalProgress = Stop
main()
"""
"""The program, saving after each update, that stops itself at an update of a run."""

COMPARE = (
    "compare classify reviews.csv --models rnn,gru --budget 12steps --seeds 2 --set width=4 "
    "--threads 1"  # other numbers of threads give other bits
)
TRAIN = "train classify reviews.csv --model lstm --budget 12steps --set width=4 --threads 1"

Run = Callable[..., subprocess.CompletedProcess[str]]


def arguments(line: str, stop: str) -> list[str]:
    return [sys.executable, "-c", PROGRAM, *stop.split(), *line.split()]


def start(
    line: str, folder: Path, stop: str = "nowhere 0 SIGKILL"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments(line, stop), cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture
def run(tmp_path: Path, reviews: Path) -> Run:
    return lambda line, *stop: start(line, tmp_path, *stop)


def outcome(folder: Path) -> dict[str, Any]:
    """Return a leaderboard without the figures that depend on time and machine."""
    board = json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))
    measured = ("train_seconds", "latency_ms", "throughput", "peak_memory_bytes")
    rows = [{k: v for k, v in row.items() if k not in measured} for row in board.pop("rows")]
    del board["winner"]  # the cheapest of equals, which the clock decides
    return {**board, "rows": sorted(rows, key=lambda row: row["name"])}


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.glob(pattern)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a comparison and a training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    write_reviews(folder)
    for line in (f"{COMPARE} --out out", f"{TRAIN} --out run"):
        start(line, folder).check_returncode()
    return folder


@pytest.mark.parametrize(
    ("how", "code", "given"), [("SIGINT", 130, " --out out"), ("SIGKILL", -signal.SIGKILL, "")]
)
def test_an_interrupted_comparison_goes_on(
    how: str, code: int, given: str, run: Run, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / ("out" if given else "runs/classify-reviews-1")
    stopped = run(COMPARE + given, f"gru/0 7 {how}")
    assert stopped.returncode == code, stopped.stderr
    if how == "SIGINT":
        assert "Run the same command again to resume" in stopped.stderr
        assert "Traceback" not in stopped.stderr
    assert not (out / "leaderboard.json").exists()
    finished = {path: path.stat().st_mtime_ns for path in out.glob("trials/rnn/*/*.*")}
    assert len(finished) > 6
    again = run(COMPARE + given)
    assert again.returncode == 0, again.stderr
    step = 7 if how == "SIGINT" else 6  # Ctrl-C still saves the update it came in
    assert f"gru seed 0 resumes from step {step}" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert outcome(out) == outcome(whole / "out")
    weights = "trials/*/*/model.safetensors"
    assert contents(out, weights) == contents(whole / "out", weights)


@pytest.mark.parametrize(
    ("update", "how", "code"), [(2, "SIGKILL", -signal.SIGKILL), (7, "SIGINT", 130)]
)
def test_an_interrupted_run_ends_in_the_same_weights(
    update: int, how: str, code: int, run: Run, whole: Path, tmp_path: Path
) -> None:
    stopped = run(f"{TRAIN} --out run", f"lstm/0 {update} {how}")
    assert stopped.returncode == code
    if how == "SIGINT":
        assert "To resume, add --resume" in stopped.stderr
    again = run(f"{TRAIN} --out run --resume")
    step = update if how == "SIGINT" else update - 1
    assert f"lstm seed 0 resumes from step {step}" in again.stdout
    for name in ("model.safetensors", "task.json", "config.json"):
        assert (tmp_path / "run" / name).read_bytes() == (whole / "run" / name).read_bytes()


@pytest.fixture
def busy(tmp_path: Path, reviews: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a training that blocks while it holds the lock of the folder run."""
    line = arguments(f"{TRAIN} --out run", "lstm/0 3 WAIT")
    with subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() not in ("waiting\n", ""):
            pass
        yield process
        process.kill()


def test_a_folder_belongs_to_one_process_while_it_lives(
    busy: subprocess.Popen[str], refused: Callable[..., None], works: Command, tmp_path: Path
) -> None:
    refused(f"{TRAIN} --out run --resume", 1, f"run is being trained by process {busy.pid}")
    os.kill(busy.pid, signal.SIGKILL)
    busy.wait()
    assert (tmp_path / "run/.process").exists()  # what it left behind holds nothing
    works(f"{TRAIN} --out run --resume")


def test_a_reader_that_leaves_early_is_no_error(reviews: Path, tmp_path: Path) -> None:
    line = f"{sys.executable} -m ensuite data names | head -1"
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("names")
    assert "Traceback" not in done.stderr
