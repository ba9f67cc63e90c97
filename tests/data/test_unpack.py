"""Packed files are unpacked whole, or refused: damaged ones, and those that would fill memory."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ensuite.core.errors import DataError
from ensuite.data import readers, unpack


@given(some.binary())
def test_what_was_zipped_comes_back(content: bytes) -> None:
    assert unpack.unzip(gzip.compress(content), "a.gz") == content


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "LARGEST", 10_000)
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"0" * 10_000_000))
    with pytest.raises(DataError, match=r"a\.csv\.gz unpacks to more than .* bytes"):
        readers.read(tmp_path / "a.csv.gz")
    file = io.BytesIO()
    np.savez_compressed(file, X=np.zeros(10_000_000))
    (tmp_path / "a.npz").write_bytes(file.getvalue())
    with pytest.raises(DataError, match=r"a\.npz unpacks to more than .* bytes"):
        readers.read(tmp_path / "a.npz")
