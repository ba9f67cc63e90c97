"""Whatever is wrong with a command or a file ends in one sentence that says what to do."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import ensuite as package

from .conftest import Command

Refused = Callable[..., None]

FAST = "--budget 1steps --set width=4 --set embedding=4 --threads 1"
TRAIN = f"train classify reviews.csv --model lstm {FAST}"


def texts(*rows: str) -> str:
    return "\n".join(["text,label", *rows])


def numbers(*rows: str) -> str:
    usual = [f"{n},{-n},{'ab'[n % 2]}" for n in range(20)]
    return "\n".join(["height,weight,label", *usual, *rows])


def series(last: str) -> str:
    usual = [json.dumps({"series": [[n, 2], [3, 4]], "label": "ab"[n % 2]}) for n in range(3)]
    return "\n".join([*usual, f'{{"series": {last}, "label": "a"}}'])


ONE_CLASS = texts(*(f"a film number {n},good" for n in range(30)))

FILES = {
    "empty.csv": ("", "empty.csv is empty", "give a file with rows"),
    "header.csv": ("text,label\n", "header.csv has a header and no rows"),
    "mixed.csv": (
        "text,label\na good film;x\nb;y\n",
        "row 1 of mixed.csv has 1 cells where the header has 2", "mend its delimiters",
    ),
    "unlabelled.csv": (
        "text,kind\na,b\n",
        "no column for the label", "it has: text, kind", "--column label=NAME",
    ),
    "gap.csv": (texts("a b c d,x", "e f g h,"), "row 2 of gap.csv has no label"),
    "one.csv": (ONE_CLASS, 'the single label "good"', "at least two"),
    "few.csv": (texts("a,x", "b,y"), "2 rows are too few to split"),
    "nan.csv": (numbers("nan,2,a"), "row 21 of nan.csv", '"nan" in the column height'),
    "infinite.csv": (numbers("1,inf,a"), "row 21 of infinite.csv", '"inf" in the column weight'),
    "word.csv": (numbers("five,2,a"), "row 21 of word.csv", '"five" in the column height is not'),
    "uneven.jsonl": (series("[[1, 2], [3]]"), "row 4 of uneven.jsonl", "steps with different"),
    "narrow.jsonl": (series("[[1], [3]]"), "row 4 of narrow.jsonl", "has 2; give every step"),
    "nan.jsonl": (series("[[1, NaN]]"), "row 4 of nan.jsonl", "NaN or infinite"),
    "steps.jsonl": (series("[]"), "row 4 of steps.jsonl is not a series"),
    "image.png": ("\x89PNG", 'not read here (".png")'),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_told(name: str, tmp_path: Path, refused: Refused) -> None:
    content, *words = FILES[name]
    (tmp_path / name).write_text(content, encoding="utf-8")
    refused(f"compare classify {name} {FAST} --out here", 1, *words)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_binary_garbage_is_told(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "noise.csv").write_bytes(bytes(range(1, 256)) * 9)
    refused("data noise.csv", 1, "noise.csv is not UTF-8", "iconv")


def test_missing_data_is_told(reviews: Path, refused: Refused) -> None:
    refused("compare classify revews.csv", 1, "no file revews.csv", "did you mean reviews.csv?")
    refused("compare classify iriss", 2, 'no built-in set "iriss"', "did you mean iris?")


def test_a_label_that_was_never_trained_names_its_row(
    reviews: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "test.csv").write_text(texts("good,positive", "so so,neutral"), encoding="utf-8")
    refused(
        f"{TRAIN} --test test.csv --out here", 1,
        "row 2 of test.csv", 'The label "neutral"', "negative, positive",
    )  # fmt: skip
    assert not (tmp_path / "here").exists()


def test_a_test_file_of_another_kind_is_told(
    reviews: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "numbers.csv").write_text(numbers(), encoding="utf-8")
    refused(f"{TRAIN} --test numbers.csv", 1, "numbers.csv does not hold the same kind")
    refused("train classify numbers.csv --model mlp --test reviews.csv", 1, "reviews.csv does not")


WORDS = {
    "train clasify reviews.csv --model lstm": (2, 'no task "clasify"', "did you mean classify?"),
    "train text-classification reviews.csv --model lstm": (2, "`classify` here"),
    "models --task sentiment-analysis": (2, "`classify` here"),
    "train classify reviews.csv --model lstmm": (2, "did you mean lstm?", "`ensuite models"),
    "train classify reviews.csv --model SimpleRNN": (2, '"SimpleRNN" is `rnn` here'),
    "train classify reviews.csv --model mlp": (2, "does not read tokens", "rnn, lstm, gru"),
    "train classify reviews.csv --model lstm:widht=3": (2, "did you mean width?"),
    "train classify reviews.csv --model lstm:width=wide": (2, "width=wide", "a whole number"),
    "train classify reviews.csv --model lstm:width=0": (
        2,
        "width, layers, embedding and character_embedding",
    ),
    "train classify reviews.csv --model lstm:summary=lst": (2, "choose one of last, mean"),
    "train classify reviews.csv --model lstm:dropout=nan": (2, "a finite number"),
    f"{TRAIN} --set widht=3": (2, "--set widht", "did you mean width?"),
    f"{TRAIN} --set width": (2, "--set width: give a name and a value"),
    f"{TRAIN} --set recipe.clips=1": (2, 'no option "clips"', "did you mean clip?"),
    f"{TRAIN} --metric macrof1": (2, 'no metric "macrof1"', "did you mean macro_f1?"),
    f"{TRAIN} --device cuda": (2, "--device cuda", "there is: cpu"),
    f"{TRAIN} --device tpu": (2, "--device tpu"),
    f"{TRAIN} --split weekly": (
        2,
        "--split weekly: choose random, time, time:DATE,DATE or group:COLUMN",
    ),
    f"{TRAIN} --split group:user": (1, 'no column "user" for the group', "text, label"),
    f"{TRAIN} --column label=lable": (1, 'no column "lable"', "did you mean label?"),
    f"{TRAIN} --column lable=label": (2, "--column lable=label", "did you mean label?"),
    f"{TRAIN} --column label": (2, "--column label: write it as name=value"),
    f"{TRAIN} --resume": (2, "--resume needs the folder", "--out DIR"),
    f"{TRAIN} --init-from nowhere --out here": (1, "no run at nowhere"),
    "train classify reviews.csv --model lstm --budget 0s": (2, "--budget 0s: give more than 0"),
    "train classify reviews.csv --model lstm --budget soon": (2, "--budget soon", "4epochs"),
    "train classify reviews.csv --model lstm --budget 1.2.3s": (2, "1.2.3 is not a number"),
    "compare classify reviews.csv --seeds 0": (2, "--seeds 0: give 1 or more"),
    "compare classify reviews.csv --jobs 0": (2, "--jobs 0: give 1 or more"),
    "compare classify reviews.csv --threads 0": (2, "--threads 0: give 1 or more"),
    f"{TRAIN} --threads 0": (2, "--threads 0: give 1 or more"),
    "compare classify reviews.csv --total 4epochs": (2, "--total 4epochs is no time", "10m"),
    "compare classify reviews.csv --total soon": (2, "--total soon is no time"),
    "compare classify reviews.csv --folds 1": (2, "--folds 1: give 2 or more"),
    "compare classify reviews.csv --folds 99": (1, "60 different inputs", "fewer --folds"),
    "compare classify reviews.csv --folds 3 --test reviews.csv": (2, "leave out --folds"),
    "compare classify reviews.csv --models lstm,lstm": (2, "lstm is named twice"),
    "compare classify reviews.csv --models emptyfolder": (1, "emptyfolder is not a run"),
    "predict nowhere x": (1, "no run at nowhere", "ensuite train"),
    "predict emptyfolder x": (1, "emptyfolder is not a run: it has no config.json"),
    "predict emptyfolder": (2, "Give inputs to answer, or --file FILE"),
    "predict emptyfolder x --file reviews.csv": (2, "one of the two"),
}


@pytest.mark.parametrize("line", WORDS)
def test_a_wrong_word_is_told(line: str, reviews: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "emptyfolder").mkdir()
    code, *words = WORDS[line]
    refused(line, code, *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["emptyfolder", "reviews.csv"]


@pytest.mark.parametrize("line", ["", "comparee", "train", "compare classify x --seeds many"])
def test_what_the_parser_refuses_is_usage(line: str, ensuite: Command) -> None:
    done = ensuite(line)
    assert done.code == 2
    assert done.err.startswith("Usage: ")
    assert "Traceback" not in done.err


def test_an_option_of_two_owners_must_be_named_in_full(
    reviews: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ensuite import specs

    options = specs.option_names
    monkeypatch.setattr(specs, "option_names", lambda each: {**options(each), "truncation": str})
    refused(
        f"{TRAIN} --set truncation=head",
        2,
        "could be two things",
        "model.truncation or task.truncation",
    )


def test_debug_shows_where_an_error_came_from(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from ensuite.cli.app import main
    from ensuite.core.errors import DataError

    monkeypatch.setattr("sys.argv", ["ensuite", "data", str(tmp_path / "no.csv"), "--debug"])
    with pytest.raises(DataError):
        main()


# Run folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a trained run."""
    rows = [
        {"text": f"a {word} film, number {n}", "label": word}
        for n in range(20)
        for word in ("good", "bad")
    ]
    folder = tmp_path_factory.mktemp("trained") / "run"
    settings = {"width": 4, "embedding": 4}
    package.train("classify", rows, model="lstm", budget="2steps", settings=settings, out=folder)
    return folder


def damage(path: Path, how: str) -> None:
    match how:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "foreign":
            path.write_text('{"name": "something else", "is": "Other"}', encoding="utf-8")
        case "null":
            path.write_text("null", encoding="utf-8")


HARM = ["missing", "truncated", "foreign", "null"]


@pytest.mark.parametrize("how", HARM)
@pytest.mark.parametrize(
    "name", ["config.json", "task.json", "model.safetensors", "tokenizer.json"]
)
def test_a_damaged_run_is_told(
    name: str, how: str, whole: Path, tmp_path: Path, refused: Refused
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    damage(tmp_path / "run" / name, how)
    refused("predict run film", 1, "run")


@pytest.mark.parametrize("how", ["truncated", "foreign", "null"])
@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl"])
def test_what_answering_does_not_need_stops_only_going_on(
    name: str, how: str, reviews: Path, tmp_path: Path, works: Command, refused: Refused
) -> None:
    works(f"{TRAIN} --out run")
    damage(tmp_path / "run" / name, how)
    assert works("predict run film").out
    refused(f"{TRAIN} --out run --resume", 1, f"run/{name}")


def test_a_run_never_names_code_that_is_no_model(
    whole: Path, tmp_path: Path, refused: Refused
) -> None:
    shutil.copytree(whole, tmp_path / "run")
    config = json.loads((whole / "config.json").read_text(encoding="utf-8"))
    config["ensuite"]["backbone"] = "subprocess:Popen"
    (tmp_path / "run/config.json").write_text(json.dumps(config), encoding="utf-8")
    refused("predict run film", 1, 'the model "subprocess:Popen" is not installed here')


def test_a_folder_that_is_taken_is_told(
    reviews: Path, tmp_path: Path, works: Command, refused: Refused
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/letter.txt").write_text("dear", encoding="utf-8")
    refused(f"{TRAIN} --out full", 1, "full is not empty", "choose another --out")
    assert (tmp_path / "full/letter.txt").read_text(encoding="utf-8") == "dear"
    begun = works(f"{TRAIN} --out run --resume").out  # where there is nothing yet, it begins
    assert "resume       run holds no run yet: it starts from the beginning" in begun
    refused(f"{TRAIN} --out run", 1, "run already holds a run", "--resume")
    refused(f"{TRAIN} --out run --resume --seed 1", 1, "another seed")
    refused(f"{TRAIN} --out run --resume --budget 2steps", 1, "another budget")
    reviews.write_text(reviews.read_text(encoding="utf-8").replace("film", "book"))
    refused(f"{TRAIN} --out run --resume", 1, "other rows", "than reviews.csv gives now")


def test_a_comparison_is_written_to_no_folder_of_something_else(
    reviews: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/1.png").write_bytes(b"")
    line = f"compare classify reviews.csv --models lstm {FAST} --out photos"
    refused(line, 1, "photos is not empty and holds no comparison", "another --out")
    assert [path.name for path in (tmp_path / "photos").glob("[!.]*")] == ["1.png"]


def test_a_comparison_folder_of_other_data_is_told(
    reviews: Path, tmp_path: Path, refused: Refused
) -> None:
    for content in ("{}", "null", '{"fingerprint": "other"}'):
        (tmp_path / "comparison.json").write_text(content, encoding="utf-8")
        refused(f"compare classify reviews.csv --models lstm {FAST} --out .", 1, "another --out")


def test_a_run_of_other_inputs_or_labels_cannot_compete(
    reviews: Path, whole: Path, tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "numbers.csv").write_text(numbers(), encoding="utf-8")
    line = f"compare classify {{}} --models {whole} --out here"
    refused(line.format("numbers.csv"), 2, "was trained to classify by text", "by row")
    refused(line.format("reviews.csv"), 2, "cannot be judged on reviews.csv", "known: bad")
    assert not (tmp_path / "here").exists()


# A full disk


def fill(monkeypatch: pytest.MonkeyPatch, after: int) -> list[int]:
    """Let all writes after some fail, and return a list that grows with each."""
    written: list[int] = []

    def fsync(file: int) -> None:
        written.append(file)
        if len(written) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    return written


def test_a_full_disk_at_any_write_of_a_run_loses_nothing(
    reviews: Path, tmp_path: Path, works: Command, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as free:
        written = fill(free, 1000)
        works(f"{TRAIN} --out run")
        count = len(written)
    expected = (tmp_path / "run/model.safetensors").read_bytes()
    for after in range(count):
        folder = tmp_path / f"run{after}"
        with monkeypatch.context() as full:
            fill(full, after)
            refused(f"{TRAIN} --out {folder.name}", 1, "could not be written", "No space left")
        works(f"{TRAIN} --out {folder.name} --resume")
        assert (folder / "model.safetensors").read_bytes() == expected
        assert not list(folder.rglob(".[a-z]*.[0-9]*")), "a draft of a file was left behind"


def test_a_full_disk_leaves_the_old_winner(
    reviews: Path, tmp_path: Path, works: Command, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = f"compare classify reviews.csv --models lstm {FAST} --seeds 1 --out out"
    written = fill(monkeypatch, 1000)
    works(line)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    written.clear()
    works(line)  # all trials are done: what is written now is the table, the winner, the report
    for after in range(len(written)):
        fill(monkeypatch, after)
        refused(line, 1, "could not be written", "No space left")
        for name in ("config.json", "task.json", "model.safetensors"):
            path = tmp_path / "out/best" / name
            assert path.read_bytes() == before[path]


def test_answers_that_cannot_be_written_leave_the_old_ones(
    whole: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "answers.csv").write_text("old", encoding="utf-8")
    fill(monkeypatch, 0)
    refused(f"predict {whole} film --out answers.csv", 1, "answers.csv could not be written")
    assert (tmp_path / "answers.csv").read_text(encoding="utf-8") == "old"
    refused(f"predict {whole} film --out answers.txt", 2, "end its name in .csv or .jsonl")
    refused(f"predict {whole} @letter.txt", 2, "@letter.txt", "cannot be read")
    refused(f"predict {whole} x --set labels=a,b", 2, 'no option "labels"')
