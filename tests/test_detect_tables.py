"""The tables of detection and of denoising are made on tiny data."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks import denoise_tables, detect_tables

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


def test_digits_are_denoised_at_each_level() -> None:
    size = denoise_tables.Size(1, "3steps", ("autoencoder:width=8,code=4",), rows=60)
    for level in denoise_tables.LEVELS:
        lines = denoise_tables.table(size, *level)
        assert any("trained without noise" in line for line in lines)
        assert any("median filter" in line for line in lines)
        assert len({line.count("|") for line in lines}) == 1
