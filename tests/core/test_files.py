import errno
import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ensuite.core.errors import EnsuiteError, RunError
from ensuite.core.files import (
    hold,
    read_json,
    read_tensors,
    write_bytes,
    write_json,
    write_tensors,
)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "model.json"
    write_json(path, {"old": 1})
    monkeypatch.setattr(*((os, "fsync") if step == "fsync" else (type(path), "replace")), full)
    with pytest.raises(EnsuiteError, match=r"model.json could not be written \(No space left"):
        write_json(path, {"new": 2})
    assert read_json(path) == {"old": 1}
    assert [*tmp_path.iterdir()] == [path]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "model", b"half")
    assert [*tmp_path.iterdir()] == []


def test_a_file_in_the_place_of_a_folder_is_a_sentence(tmp_path):
    write_bytes(tmp_path / "run", b"")
    with pytest.raises(EnsuiteError, match=r"could not be written .*choose another --out"):
        write_bytes(tmp_path / "run" / "model", b"x")


def test_json_keeps_every_letter_and_refuses_what_is_no_number(tmp_path):
    path = tmp_path / "new folder" / "a.json"
    write_json(path, {"né": [1, 0.1, None, "…"]})
    assert read_json(path) == {"né": [1, 0.1, None, "…"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))


@pytest.mark.parametrize("content", [b"{", b"\xff", b""])
def test_damaged_json_is_a_run_error(tmp_path, content):
    write_bytes(tmp_path / "a.json", content)
    with pytest.raises(RunError, match=r"a\.json cannot be read .* the run is damaged"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("read", [read_json, read_tensors])
def test_a_missing_file_is_a_run_error(tmp_path, read):
    with pytest.raises(RunError, match=r"has no weights: it is not a whole run"):
        read(tmp_path / "weights")
    with pytest.raises(RunError):
        read(tmp_path)


def tensors():
    weight = torch.randn(3, 4)
    return {
        "weight": weight, "tied": weight, "turned": weight.T, "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0), "state": torch.get_rng_state(), "short": weight.bfloat16(),
    }  # fmt: skip


def test_tensors_come_back_bit_for_bit(tmp_path):
    written = tensors()
    write_tensors(tmp_path / "a.safetensors", written)
    read = read_tensors(tmp_path / "a.safetensors")
    assert read.keys() == written.keys()
    for name, tensor in written.items():
        assert read[name].dtype == tensor.dtype, name
        assert read[name].equal(tensor), name


@given(data=st.data())
def test_truncated_or_foreign_tensors_are_a_run_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("tensors") / "a.safetensors"
    write_tensors(path, tensors())
    whole = path.read_bytes()
    cut = st.integers(0, len(whole) - 1).map(lambda length: whole[:length])
    path.write_bytes(data.draw(cut | st.binary(max_size=64)))
    with pytest.raises(RunError, match=r"a\.safetensors cannot be read .* the run is damaged"):
        read_tensors(path)


def test_a_run_folder_belongs_to_one_at_a_time(tmp_path):
    folder = tmp_path / "run"
    message = f"being trained by process {os.getpid()}"
    with hold(folder), pytest.raises(RunError, match=message), hold(folder):
        pass
    with hold(folder):  # given back
        pass
    write_bytes(tmp_path / "file", b"")
    with pytest.raises(RunError, match="cannot be written"), hold(tmp_path / "file" / "run"):
        pass
