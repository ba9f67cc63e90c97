"""Codes, reconstructions and samples, on the command line and in Python."""

import csv
import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ensuite as package
from ensuite.core.errors import UsageError

from .conftest import Command

HOW = {"seeds": 1, "budget": "3steps", "models": ["autoencoder:width=8", "vae:width=8"]}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return comparisons on rows, pictures and series after a few updates."""
    folder = tmp_path_factory.mktemp("reduce")
    package.compare("reduce", "iris", out=folder / "rows", **HOW)
    random = np.random.default_rng(0)
    pictures = [{"image": each.tolist()} for each in random.integers(0, 255, (40, 6, 6))]
    package.compare("reduce", pictures, out=folder / "pictures", **HOW)
    series = [{"series": random.normal(size=(n % 3 + 3, 2)).tolist()} for n in range(40)]
    package.compare("reduce", series, out=folder / "series", **HOW)
    return folder


@pytest.fixture
def runs(compared: Path, tmp_path: Path) -> Path:
    shutil.copytree(compared, tmp_path, dirs_exist_ok=True)
    return tmp_path


def cells(name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    return list(csv.DictReader(Path(name).read_text(encoding="utf-8").splitlines()))


def trial(runs: Path, kind: str, name: str) -> package.Predictor:
    (folder,) = (runs / kind / "trials").glob(f"{name}*/0")
    return package.load(folder)


def test_codes_and_reconstructions_in_python(runs: Path) -> None:
    flowers = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4]]
    for name in ("autoencoder", "vae", "pca-2"):
        predictor = trial(runs, "rows", name)
        codes = predictor.transform(flowers)
        assert codes.shape == (2, 2)
        back = predictor.inverse_transform(codes)
        predictions = predictor.predict(flowers)
        np.testing.assert_allclose(back, [p.reconstruction for p in predictions], rtol=1e-5)
    components = trial(runs, "rows", "pca-2").inverse_transform(np.zeros((1, 2)))
    np.testing.assert_allclose(components[0], [5.84, 3.06, 3.76, 1.2], atol=0.3)  # the means
    with pytest.raises(UsageError, match="Codes of this model have 2 numbers, and these 3"):
        predictor.inverse_transform(np.zeros((1, 3)))
    with pytest.raises(UsageError, match=r"Codes have the shape \(rows, code\), and these \(3,\)"):
        predictor.inverse_transform(np.zeros(3))


def test_only_a_model_that_reduces_has_codes(tmp_path: Path) -> None:
    how = {"model": "mlp:width=4", "budget": "2steps", "out": tmp_path / "run"}
    predictor = package.train("classify", "iris", **how)
    with pytest.raises(UsageError, match="was trained to classify and has no codes"):
        predictor.transform([[5.1, 3.5, 1.4, 0.2]])


def test_rows_are_drawn_in_the_units_of_the_data(works: Command, runs: Path) -> None:
    (folder,) = runs.glob("rows/trials/vae*/0")
    works(f"sample '{folder}' --count 5 --seed 3 --out drawn.csv")
    drawn = cells("drawn.csv")
    assert len(drawn) == 5
    assert list(drawn[0]) == ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    assert 4 < np.mean([float(row["sepal_length"]) for row in drawn]) < 8
    again = json.loads(works(f"sample '{folder}' --count 5 --seed 3 --json").out)
    assert [float(row["petal_width"]) for row in drawn] == [row["petal_width"] for row in again]
    other = json.loads(works(f"sample '{folder}' --count 5 --seed 4 --json").out)
    assert other != again
    assert works(f"sample '{folder}' --count 2").out.startswith("sepal_length")


def test_pictures_are_drawn_in_a_grid(works: Command, runs: Path) -> None:
    (folder,) = runs.glob("pictures/trials/vae*/0")
    done = works(f"sample '{folder}' --count 5")
    assert "5 images in samples.png" in done.err
    with Image.open("samples.png") as picture:
        assert picture.size == (3 * 61 + 1, 2 * 61 + 1)  # each pixel ten wide, a line between
    works(f"sample '{folder}' --count 2 --out pixels.csv")
    assert len(cells("pixels.csv")[0]) == 36


def test_ways_through_the_codes_are_drawn_side_by_side(works: Command, runs: Path) -> None:
    (folder,) = runs.glob("pictures/trials/vae*/0")
    works(f"sample '{folder}' --walk traversal --out ways.png")
    with Image.open("ways.png") as picture:
        assert picture.size == (9 * 61 + 1, 9 * 61 + 1)  # nine units of the code, nine steps each
    done = works(f"sample '{folder}' --walk interpolation --count 2 --out ways.png")
    assert "18 images in ways.png" in done.err
    with Image.open("ways.png") as picture:
        assert picture.size == (9 * 61 + 1, 2 * 61 + 1)


def test_series_are_drawn_step_by_step(works: Command, runs: Path) -> None:
    (folder,) = runs.glob("series/trials/vae*/0")
    drawn = json.loads(works(f"sample '{folder}' --count 2 --json").out)
    assert [(row["series"], row["step"]) for row in drawn[:6]] == [
        (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 1),
    ]  # fmt: skip
    assert list(drawn[0]) == ["series", "step", "value_1", "value_2"]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("sample '{pca-2}'", 2, "baseline model has no distribution to draw from"),
        ("sample '{autoencoder}'", 2, "have no distribution to draw from; choose a run of a vae"),
        ("sample '{vae}' --count 0", 2, "--count 0: give 1 to 100,000"),
        ("sample '{vae}' --out drawn.txt", 2, "end its name in .png, .csv or .jsonl"),
        ("sample '{vae}' --out drawn.png", 2, "these are no pictures; end its name in .csv"),
        ("sample '{vae}' --label 3", 2, "trained without labels; leave the label out"),
        ("sample '{vae}' --walk about", 2, "--walk about: choose one of traversal, interpolation"),
        ("sample '{pca-2}' --walk traversal", 2, "has no distribution to draw from"),
        ("sample nowhere", 1, "nowhere"),
    ],
)
def test_what_cannot_be_drawn(
    refused: Callable[..., None], runs: Path, line: str, code: int, words: str
) -> None:
    folders = {n: next(runs.glob(f"rows/trials/{n}*/0")) for n in ("pca-2", "autoencoder", "vae")}
    for name, folder in folders.items():
        line = line.replace(f"{{{name}}}", str(folder))
    refused(line, code, words)


def test_codes_are_written_as_columns(works: Command, runs: Path) -> None:
    flowers = "sepal_length,sepal_width,petal_length,petal_width\n5.1,3.5,1.4,0.2\n"
    Path("flowers.csv").write_text(flowers, encoding="utf-8")
    (folder,) = runs.glob("rows/trials/vae*/0")
    works(f"predict '{folder}' --file flowers.csv --out codes.csv")
    (row,) = cells("codes.csv")
    assert {"code_1", "code_2", "error", "elbo"} <= set(row)


def test_a_grid_of_pictures_is_a_png() -> None:
    from ensuite.core.errors import DataError
    from ensuite.data.images import grid

    pictures = np.zeros((3, 2, 4, 3), np.uint8)
    pictures[1] = 255
    with Image.open(BytesIO(grid(pictures, 2, enlarge=2))) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (2 * 5 + 1, 2 * 9 + 1, 3)
    assert (pixels[1:5, 1:9] == 0).all()
    assert (pixels[1:5, 10:18] == 255).all()
    assert (pixels[0] == 128).all()
    with pytest.raises(DataError, match="of 1 or 3 channels, and these have 2"):
        grid(np.zeros((1, 2, 2, 2), np.uint8), 1)
