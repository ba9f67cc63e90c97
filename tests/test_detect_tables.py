"""The tables of detection, of denoising and of drawn pictures are made on tiny data."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import denoise_tables, detect_tables, nab_tables, sample_tables
from hypothesis import given
from hypothesis import strategies as st

random = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with files of the layout of the real ones."""
    made = tmp_path_factory.mktemp("data")
    for name in ("adbench", "fraud_sample", "ecg5000", "nab/data/real", "nab/labels"):
        (made / name).mkdir(parents=True)
    marks = np.repeat([0, 1], [150, 30])
    rows = random.normal(size=(180, 3)) + 3 * marks[:, None]
    np.savez(made / "adbench" / "1_tiny.npz", X=rows, y=marks)
    lines = [",".join(map(str, (*row, mark))) for row, mark in zip(rows, marks, strict=True)]
    with gzip.open(made / "fraud_sample" / "creditcard_sample.csv.gz", "wt") as file:
        file.write("\n".join(["V1,V2,Amount,Class", *lines]))
    for name, count in (("TRAIN", 260), ("TEST", 80)):
        waves = np.sin(np.arange(12) / 2 + random.normal(size=(count, 1)))
        table = np.column_stack([random.integers(1, 3, count), waves])
        np.savetxt(made / "ecg5000" / f"ECG5000_{name}.tsv.gz", table, delimiter="\t")
    stamps = np.datetime64("2014-01-01T00:00:00") + 300 * np.arange(1200)
    values = np.sin(np.arange(1200) / 5)
    values[800:810] += 3
    text = [f"{str(t).replace('T', ' ')},{v}" for t, v in zip(stamps, values, strict=True)]
    (made / "nab/data/real/a.csv").write_text("\n".join(["timestamp,value", *text]))
    window = [str(stamps[place]).replace("T", " ") for place in (790, 830)]
    labels = {"real/a.csv": [window]}
    (made / "nab/labels/combined_windows.json").write_text(json.dumps(labels))
    return made


@pytest.mark.parametrize("name", detect_tables.TABLES)
def test_each_table_is_made(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = detect_tables.Size(
        seeds=1, data=folder, models=("autoencoder:width=8",), budget="5steps"
    )
    detect_tables.TABLES[name](size)
    printed = capsys.readouterr().out
    assert "| PCA |" in printed or "| 1 | PCA |" in printed
    assert "isolation forest" in printed
    assert "nan" not in printed


def test_nab_is_scored_once_and_kept(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    size = detect_tables.Size(data=folder, models=("autoencoder:width=8",), budget="5steps")
    nab_tables.run(size, 0, tmp_path, slice(0, 0))
    assert capsys.readouterr().out == ""  # not all series are done
    nab_tables.run(size, 0, tmp_path)
    printed = capsys.readouterr().out
    for name in ("autoencoder", "PCA", "isolation forest"):
        assert f"| {name}, error |" in printed
        assert f"| {name}, likelihood |" in printed
        assert f"| {name}, deviation |" in printed
    assert "| random |" in printed
    assert "| constant | 0.0 |" in printed
    assert "nan" not in printed
    monkeypatch.setattr(nab_tables, "learned_scores", lambda *_: pytest.fail("computed again"))
    nab_tables.run(size, 0, tmp_path)
    assert capsys.readouterr().out == printed


@given(seed=st.integers(0, 1000), steps=st.integers(1, 40), last=st.integers(1, 50))
def test_a_mean_of_the_last_steps_is_a_mean_of_those_there_are(
    seed: int, steps: int, last: int
) -> None:
    values = np.random.default_rng(seed).normal(size=steps)
    found = nab_tables.last_mean(values, last)
    expected = [values[max(0, end - last) : end].mean() for end in range(1, steps + 1)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    padded = np.concatenate([np.full(last, 7.0), values])
    expected = [padded[end : end + last].mean() for end in range(1, steps + 1)]
    np.testing.assert_allclose(
        nab_tables.last_mean(values, last, missing=7.0), expected, atol=1e-12
    )


def test_nothing_is_learned_from_values_that_never_change(folder: Path) -> None:
    size = detect_tables.Size(data=folder)
    flat = np.concatenate([np.zeros(500), random.random(500)])
    assert nab_tables.learned_scores(size, 0, flat) == {}
    every = [nab_tables.Recording(name, flat, [(600, 610)]) for name in ("a", "b")]
    table = nab_tables.rows(every, [{}, {"PCA": flat}], 0)
    assert np.isneginf(table["PCA, error"][0].scores).all()
    assert np.isfinite(table["PCA, error"][1].scores).all()


def test_the_likelihood_of_a_level_that_lasts_falls_again() -> None:
    scores = np.concatenate([random.random(500), 5 + random.random(500)])
    found = nab_tables.likelihood(scores)
    assert found[505:515].min() > 3
    assert found[-100:].max() < 1.5


def test_drawn_pictures_are_scored_beside_real_ones(tmp_path: Path) -> None:
    pictures = random.integers(0, 256, size=(120, 8, 8)).astype(np.uint8)
    labels = random.integers(0, 2, 60)
    data = sample_tables.Data(pictures[:60], labels, pictures[60:90], pictures[90:])
    models = {"vae": "vae:width=8,code=4", "vae-gan": "vae-gan:width=4,code=4,layers=1"}
    size = sample_tables.Size(1, "3steps", "3steps", 4, tmp_path, models)
    lines = sample_tables.table(size, data)
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| real pictures", "| PCA 4, a Gaussian", "| vae", "| vae-gan",
    ]  # fmt: skip
    assert not any("nan" in line for line in lines)
    sample_tables.draw(size, data, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_the_frechet_distance_has_its_closed_form() -> None:
    """Between Gaussians along the same axes it adds the squared differences of their deviations."""
    points = random.normal(size=(50, 3))
    points -= points.mean(0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points.T))).T
    spread = np.array([2.0, 1.0, 0.5])
    apart = sample_tables.frechet(white, white * spread + 3)
    assert apart == pytest.approx(27 + np.square(spread - 1).sum())


def test_the_nearest_picture_is_told_in_shares_of_the_range() -> None:
    assert sample_tables.nearest(np.zeros((2, 2, 2)), np.full((3, 2, 2), 51, np.uint8)) == (
        pytest.approx(0.2)
    )


def test_digits_are_denoised_at_each_level() -> None:
    size = denoise_tables.Size(1, "3steps", ("autoencoder:width=8,code=4",), rows=60)
    for level in denoise_tables.LEVELS:
        lines = denoise_tables.table(size, *level)
        assert any("trained without noise" in line for line in lines)
        assert any("median filter" in line for line in lines)
        assert len({line.count("|") for line in lines}) == 1
