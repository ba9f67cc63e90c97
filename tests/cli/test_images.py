"""Pictures, from a folder to an answer, as a person types it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import Command


@pytest.fixture
def shades(tmp_path: Path) -> Path:
    """Return a folder of dark and bright pictures, of two sizes, with a test part."""
    random = np.random.default_rng(0)
    for part, rows in (("train", 30), ("test", 10)):
        for label, low in (("dark", 0), ("bright", 128)):
            folder = tmp_path / "shades" / part / label
            folder.mkdir(parents=True)
            for number in range(rows):
                pixels = random.integers(low, low + 128, (8 + number % 2, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "shades"


def test_from_a_folder_of_pictures_to_an_answer(shades: Path, works: Command) -> None:
    done = works("train classify shades --model conv --set size=8 --budget 40steps --out run")
    assert "54 train, 6 valid, 20 test (valid drawn from train" in done.out
    answered = json.loads(works("predict run shades/test/dark/0.png --json").out)
    assert [(row["input"], row["answer"]) for row in answered] == [
        ("shades/test/dark/0.png", "dark")
    ]
    judged = json.loads(works("evaluate run shades --json").out)  # its test part
    assert judged["metrics"]["accuracy"] == 1
    few = works("predict run --file shades/test/bright --out answers.csv")
    assert few.err == "10 answers in answers.csv\n"
    assert "alone = in a batch           ok" in works("check run shades").out


def test_the_data_check_takes_the_options_of_the_task(shades: Path, works: Command) -> None:
    for option in ("size=4", "task.size=4"):
        assert "all brought to 4 x 4 greyscale" in works(f"data shades --set {option}").out


def test_pictures_of_several_sizes_are_refused(shades: Path, refused: Callable[..., None]) -> None:
    refused("data shades", 1, "is 8 x 8 greyscale and", "9 x 8 greyscale", "--set size=8")


def test_what_is_no_picture_is_refused(
    shades: Path, works: Command, refused: Callable[..., None]
) -> None:
    works("train classify shades --model mlp --set size=8 --budget 2steps --out run")
    refused("predict run nowhere.png", 1, "There is no picture nowhere.png")
    (shades / "train" / "dark" / "0.png").write_text("a note")
    refused("data shades --set size=8", 1, "row 31 of shades", "is not a picture that can be read")


def test_from_a_folder_with_captions_to_a_caption(shades: Path, works: Command) -> None:
    rows = [f"{n}.png,a dark one" for n in range(20)]
    folder = shades / "train" / "dark"
    (folder / "captions.csv").write_text("image,text\n" + "\n".join(rows) + "\n")
    line = "train caption shades/train/dark --model seq2seq:width=8,embedding=8 --set size=8"
    line += " --set learning_rate=0.03 --budget 60steps --out run"
    assert "20 rows: image, text" in works(line).out
    answered = json.loads(works("predict run shades/test/dark/0.png --json").out)
    assert answered[0]["answer"] == "a dark one"
    looked = json.loads(
        works("predict run shades/test/dark/0.png --set return_attention=true --json").out
    )
    assert looked[0]["attention"]["written"] == ["a", " dark", " one"]
    assert len(looked[0]["attention"]["weights"]) == 4  # three words and the end
    judged = json.loads(works("evaluate run shades/train/dark --json").out)
    assert judged["metrics"]["exact_match"] == 1
    assert "alone = in a batch           ok" in works("check run shades/train/dark").out
