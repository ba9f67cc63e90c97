import errno
import os
import tracemalloc
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

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


def test_space_is_asked_for_only_where_the_disk_is_full(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    for fails, asked in ((full, True), (refuse, False)):
        monkeypatch.setattr(os, "fsync", fails)
        with pytest.raises(EnsuiteError, match="choose another --out") as error:
            write_json(tmp_path / "model.json", {})
        assert ("free some space" in str(error.value)) == asked


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "model", b"half")
    assert [*tmp_path.iterdir()] == []


def test_a_link_stays_one_and_permissions_stay(tmp_path):
    file, link = tmp_path / "model", tmp_path / "link"
    write_bytes(file, b"old")
    file.chmod(0o600)
    link.symlink_to("model")
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert file.read_bytes() == b"new"
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_pipe_is_written_to_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_bytes(pipe, b"read as it is written")
    assert os.read(reader, 100) == b"read as it is written"
    os.close(reader)
    assert [*tmp_path.iterdir()] == [pipe]


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


def test_the_format_is_that_of_the_safetensors_package(tmp_path):
    path, written = tmp_path / "a.safetensors", tensors() | {'é "': torch.ones(2, 0, 3).bool()}
    write_tensors(path, written)
    assert path.read_bytes() == save(
        {name: t.clone(memory_format=torch.contiguous_format) for name, t in written.items()}
    )


KINDS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
         torch.int16, torch.int8, torch.uint8, torch.bool]  # fmt: skip


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.tuples(st.sampled_from(KINDS), st.lists(st.integers(0, 3), max_size=3)),
        max_size=5,
    )
)
def test_tensors_of_any_name_kind_and_shape_come_back(tmp_path_factory, described):
    path = tmp_path_factory.mktemp("tensors") / "a.safetensors"
    written = {name: torch.randn(shape).to(kind) for name, (kind, shape) in described.items()}
    write_tensors(path, written)
    read = read_tensors(path)
    assert read.keys() == written.keys()
    for name, tensor in written.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        assert read[name].equal(tensor)


@pytest.fixture
def copies(monkeypatch):
    """Return the bytes of each copy that is made of a tensor which is not contiguous."""
    sizes, contiguous = [], torch.Tensor.contiguous

    def copy(tensor):
        result = contiguous(tensor)
        if result is not tensor:
            sizes.append(result.nbytes)
        return result

    monkeypatch.setattr(torch.Tensor, "contiguous", copy)
    monkeypatch.setattr(torch.Tensor, "clone", None)
    return sizes


@contextmanager
def at_most(size):
    """Assert that the block holds no more bytes at a time in Python and NumPy objects."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def test_writing_copies_no_tensor_but_those_that_are_not_contiguous(tmp_path, copies):
    weight = torch.ones(1000, 1000)
    several = {f"weight {number}": weight for number in range(8)}
    write_tensors(tmp_path / "first.safetensors", {})  # what it imports counts nowhere
    with at_most(weight.nbytes / 10):  # of 32 MB that are written
        write_tensors(tmp_path / "a.safetensors", several)
    assert copies == []
    write_tensors(tmp_path / "b.safetensors", {**several, "turned": weight[:10].T})
    assert copies == [weight[:10].nbytes]


def test_tensors_that_are_made_when_asked_for_live_one_at_a_time(tmp_path):
    class Made(Mapping):
        """Tensors that take memory only while somebody holds them."""

        def __iter__(self):
            return iter("abcd")

        def __len__(self):
            return 4

        def __getitem__(self, name):
            return torch.from_numpy(np.full(1_000_000, ord(name), dtype=np.uint8))

    write_tensors(tmp_path / "first.safetensors", {})
    with at_most(2_100_000):
        write_tensors(tmp_path / "a.safetensors", Made())
    read = read_tensors(tmp_path / "a.safetensors")
    assert {name: int(t.sum()) for name, t in read.items()} == {
        name: 1_000_000 * ord(name) for name in "abcd"
    }


def test_reading_maps_the_file_and_changing_what_was_read_leaves_it(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"weight": torch.ones(1000, 1000), "other": torch.zeros(7)})
    before = path.read_bytes()
    read_tensors(path)
    with at_most(len(before) / 10):
        read = read_tensors(path)
    if (maps := Path("/proc/self/maps")).exists():
        assert str(path) in maps.read_text(encoding="utf-8")
    read["weight"].fill_(3.0)
    assert path.read_bytes() == before
    write_tensors(path, {"weight": torch.zeros(2)})  # the old content stays with who reads it
    assert read["weight"].sum() == 3_000_000


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
