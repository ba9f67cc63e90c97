"""NumPy files: mapped into memory where they can be, and read as before where not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra.numpy import array_shapes, arrays

from ensuite.core.errors import DataError
from ensuite.data import readers
from ensuite.data.arrays import map_file

KINDS = some.sampled_from(["u1", "<i8", ">f4", "<f8", "?"])


def is_mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = array.base
    return array is not None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrays")


@given(KINDS.flatmap(lambda kind: arrays(kind, array_shapes(max_dims=3))), some.booleans())
def test_what_is_mapped_is_what_was_saved(folder: Path, array: Any, by_columns: bool) -> None:
    array = np.asfortranarray(array) if by_columns else array
    np.save(folder / "a.npy", array)
    np.savez(folder / "a.npz", X=array, y=np.arange(len(array)))
    np.savez_compressed(folder / "b.npz", X=array, y=np.arange(len(array)))
    for name in ("a.npy", "a.npz", "b.npz"):
        found = readers.read(folder / name)
        np.testing.assert_array_equal(found.columns["X"], array)
        assert is_mapped(found.columns["X"]) == (name[0] == "a")
        assert found.rows == len(array)
    assert map_file(folder / "b.npz") is None


def test_mapped_or_not_a_file_has_the_same_fingerprint(folder: Path) -> None:
    np.savez(folder / "a.npz", X=np.arange(4))
    mapped = readers.read(folder / "a.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readers, "map_file", lambda path: None)
        whole = readers.read(folder / "a.npz")
    assert mapped.fingerprint == whole.fingerprint
    assert not is_mapped(whole.columns["X"])


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_objects_and_damage_are_refused(name: str, folder: Path) -> None:
    save = np.save if name.endswith("npy") else np.savez
    save(folder / name, **{"arr" if name.endswith("npy") else "X": np.array([{}, 1])})
    with pytest.raises(DataError, match="holds Python objects"):
        readers.read(folder / name)
    save(folder / name, **{"arr" if name.endswith("npy") else "X": np.arange(100)})
    content = (folder / name).read_bytes()
    for part in (content[:-90], b"", b"\x80\x04N."):
        (folder / name).write_bytes(part)
        with pytest.raises(DataError, match="is not a whole"):
            readers.read(folder / name)
