"""The mistakes of a beginner, each answered with the sentence that would have helped."""

import subprocess
import sys
from pathlib import Path

import pytest

from ensuite.cli.app import main

MISTAKES = {
    # The order of the words
    "compare reviews.csv classify": ("The task comes first, then the data: classify reviews.csv."),
    "train reviews.csv classification --model lstm": (
        "The task comes first, then the data: classify reviews.csv."
    ),
    "compare reviews.csv": (
        "reviews.csv is the data; the task comes before it: ensuite compare classify reviews.csv "
        "(`ensuite tasks` lists the tasks)."
    ),
    "compare classify": (
        "compare needs data: ensuite compare classify FILE (or a set of `ensuite data`)."
    ),
    "classify reviews.csv": (
        '"classify" is a task, which follows a command: ensuite compare classify reviews.csv'
    ),
    "train classify reviews.csv": (
        "train needs a model: ensuite train classify reviews.csv --model NAME (`ensuite models "
        "--task classify` lists them); `ensuite compare classify reviews.csv` tries all that fit."
    ),
    'predict "a good film" run': 'The run comes first: run "a good film".',
    "evaluate reviews.csv run": 'The run comes first: run "reviews.csv".',
    # Names of tasks, models and metrics
    "compare text-classification reviews.csv": '"text-classification" is `classify` here.',
    "compare Classify reviews.csv": '"Classify" is `classify` here.',
    "compare clasify reviews.csv": (
        'There is no task "clasify"; did you mean classify? There is: answer, '
    ),
    "train classify reviews.csv --model LSTM": '"LSTM" is `lstm` here.',
    "train classify reviews.csv --model lstm,gru": (
        '"lstm,gru" is several models, and one is trained at a time; `ensuite compare classify '
        "DATA --models lstm,gru` compares them."
    ),
    "train classify reviews.csv --models lstm,gru": (
        "train has no option --models: it trains one model, --model NAME; several: `ensuite "
        "compare`."
    ),
    "compare classify reviews.csv --models distilbert-base-uncased": (
        'There is no model "distilbert-base-uncased". `ensuite models --task classify` lists '
        "them. A published checkpoint is named by the folder that it was downloaded to."
    ),
    "compare classify reviews.csv --metric f1": (
        'There is no metric "f1" of classify; did you mean macro_f1? There is: accuracy, '
        "balanced_accuracy, macro_f1, micro_f1, log_loss, calibration_error."
    ),
    "compare classify reviews.csv --metric Accuracy": (
        'There is no metric "Accuracy" of classify; did you mean accuracy? '
    ),
    # Options
    "train classify reviews.csv --model lstm --epochs 5": (
        "train has no option --epochs: the length of training is the budget: --budget 5epochs."
    ),
    "compare classify reviews.csv --set epochs=5": (
        "--set epochs=5: the length of training is the budget: --budget 5epochs."
    ),
    "compare classify reviews.csv --budget 5": (
        "--budget 5 is no budget: give a number and one of s, m, h, steps, epochs, tokens, as in "
        '"60s" or "4epochs".'
    ),
    "train classify reviews.csv --model lstm --lr 0.1": (
        "train has no option --lr: such options are set by --set learning_rate=0.1."
    ),
    "train classify reviews.csv --model lstm --batch-size=8": (
        "train has no option --batch-size: such options are set by --set batch_size=8."
    ),
    "compare classify reviews.csv --set lr=0.1": (
        "--set lr=0.1: there is no such option; did you mean learning_rate?"
    ),
    "train classify reviews.csv --model lstm:hidden_size=64": (
        'the model lstm has no option "hidden_size"; did you mean width? It has: '
    ),
    "train classify reviews.csv --model lstm:widht=64": (
        'the model lstm has no option "widht"; did you mean width? It has: '
    ),
    "train classify reviews.csv --model lstm --gpu": (
        "train has no option --gpu: the device is named: --device cuda."
    ),
    "train classify reviews.csv --model lstm --output-dir here": (
        "train has no option --output-dir: the folder to write is --out here."
    ),
    "compare classify reviews.csv --seed 3": (
        "compare has no option --seed: seeds are counted from 0: --seeds N is how many there are."
    ),
    # Files and columns
    "compare classify revews.csv": "There is no file revews.csv; did you mean reviews.csv?",
    "compare classify reviews.csv --label text": (
        "compare has no option --label: a column is given a role: --column label=text."
    ),
    "compare classify reviews.csv --column label=lable": (
        'reviews.csv has no column "lable" for the label; did you mean label? It has: text, label.'
    ),
    "predict reviews.csv film": (
        "reviews.csv is a file, not a run; give the folder that `ensuite train` or `ensuite "
        "compare` wrote, such as runs/classify-reviews-1."
    ),
    "evaluate nowhere reviews.csv": (
        "There is no run at nowhere; `ensuite train` and `ensuite compare` make them, and a "
        "published checkpoint is named by the folder that it was downloaded to."
    ),
}
"""What is typed, and how the answer starts."""

PROGRAM = """
import shlex, sys
from ensuite.cli.app import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["ensuite", *shlex.split(line)]
    try:
        main()
    except SystemExit as end:
        heavy = [m for m in ("torch", "polars", "sklearn") if m in sys.modules]
        print(end.code, heavy, flush=True)
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the answer to each mistake, all typed in one process, which must import nothing."""
    folder = tmp_path_factory.mktemp("beginner")
    (folder / "reviews.csv").write_text("text,label\na b,x\n", encoding="utf-8")
    (folder / "run").mkdir()
    (folder / "run/config.json").write_text("{}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=folder, input="\n".join(MISTAKES),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line for line in done.stdout.splitlines() if line not in ("1 []", "2 []")] == []
    lines = done.stderr.splitlines()
    assert len(lines) == len(MISTAKES), done.stderr
    return dict(zip(MISTAKES, lines, strict=True))


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_answered_with_what_to_type(line: str, said: dict[str, str]) -> None:
    assert said[line].startswith(f"ensuite: {MISTAKES[line]}")


def test_a_value_may_hold_anything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in ("{value}", "{0}", "%s", ""):
        words = ["ensuite", "train", "classify", "x", "--model", "lstm", "--epochs", value]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit):
            main()
        assert f"--budget {value}epochs" in capsys.readouterr().err


def test_a_run_may_be_called_like_anything(tmp_path: Path) -> None:
    from ensuite.core.runs import is_run

    assert not is_run("a\0b")
    assert not is_run("x" * 5000)
    assert not is_run(str(tmp_path))
