"""What a command's words alone show to be wrong is told before torch is imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from ensuite.core.errors import UsageError
from ensuite.core.seed import LARGEST_SEED, require_seed

WORDS = {
    "train clasify a.csv --model lstm": "did you mean classify?",
    "train classify a.csv --model lstmm": "did you mean lstm?",
    "compare classify a.csv --models lstm,gruu": "did you mean gru?",
    "compare classify a.csv --budget soon": "--budget soon",
    "compare classify b.csv": "no file b.csv; did you mean a.csv?",
    "compare classify iriss": "did you mean iris?",
    "compare classify a.csv --test b.csv": "no file b.csv",
    "compare classify a.csv --split weekly": "--split weekly",
    "compare classify a.csv --set width": "--set width",
    "compare classify a.csv --column label": "--column label",
    "compare classify a.csv --device tpu": "--device tpu",
    "compare classify a.csv --init-from nowhere": "no run at nowhere",
    "compare classify a.csv --out a.csv": "is the input",
    "compare classify a.csv --out ''": "--out is empty",
    "compare classify ''": "name of the file is empty",
    "train classify a.csv --model lstm --resume": "--resume needs the folder",
    "data b.csv": "no file b.csv",
    "data a.csv --task clasify": "did you mean classify?",
    "predict nowhere x": "no run at nowhere",
    "predict '' x": "name of the run is empty",
    "evaluate nowhere a.csv": "no run at nowhere",
    "check nowhere": "no run at nowhere",
    "generate nowhere": "no run at nowhere",
}

PROGRAM = """
import shlex, sys
from ensuite.cli.app import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["ensuite", *shlex.split(line)]
    try:
        main()
    except SystemExit as end:
        print(end.code, [m for m in ("torch", "polars", "sklearn") if m in sys.modules], flush=True)
"""


def test_what_words_show_is_told_before_torch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na b,x\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, input="\n".join(WORDS),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = done.stderr.splitlines()
    assert [line for line in done.stdout.splitlines() if line not in ("1 []", "2 []")] == []
    assert len(said) == len(WORDS)
    for line, (command, word) in zip(said, WORDS.items(), strict=True):
        assert word in line, command


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1, 10**20])
def test_a_seed_out_of_range_is_told(seed: int, tmp_path: Path) -> None:
    import ensuite

    with pytest.raises(UsageError, match=f"seed {seed} is out of range; give one from 0 to"):
        require_seed(seed)
    rows = [{"x": n, "label": "ab"[n % 2]} for n in range(30)]
    with pytest.raises(UsageError, match="out of range"):
        ensuite.train("classify", rows, model="mlp", seed=seed, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train classify iris --model mlp", "generate run"])
@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
def test_the_parser_knows_the_range_of_a_seed(command: str, seed: str) -> None:
    words = [sys.executable, "-m", "ensuite", *command.split(), "--seed", seed]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Invalid value for '--seed'" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("line", ["models", "models --json", "data"])
def test_output_that_cannot_be_written_is_told(line: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ensuite", *line.split()],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "ensuite: The output cannot be written (No space left on device).\n"
