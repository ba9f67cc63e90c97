"""The compiled kernels: loaded when needed, kept on disk where that can be, always the same."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from ensuite.nn import GRU, LSTM, RNN
from ensuite.nn.kernels import hoisted, layout

RUN = """
import hashlib, sys, torch
from ensuite.nn import GRU, LSTM
assert "numba" not in sys.modules  # only the first cell that is called asks for it
torch.manual_seed(0)
inputs, digest = torch.randn(3, 5, 2), hashlib.sha256()
for cell in (GRU(2, 4), LSTM(2, 4, peepholes="diagonal")):
    outputs, _ = cell(inputs)
    outputs.sum().backward()
    for tensor in (outputs, *(each.grad for each in cell.parameters())):
        digest.update(tensor.detach().contiguous().numpy().tobytes())
assert "numba" in sys.modules
print(digest.hexdigest())
"""


def start(cache: Path) -> subprocess.Popen[str]:
    """Start a process that trains two cells, and keeps what it compiles in a folder."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> str:
    """Return what the process wrote, after it has ended well."""
    written, complaint = process.communicate(timeout=300)
    assert process.returncode == 0, complaint
    return written


def test_compiled_anew_or_kept_by_another_process_it_is_the_same_to_the_bit(tmp_path):
    pytest.importorskip("numba")
    both = [start(tmp_path), start(tmp_path)]  # at once, into the same folder
    first = [ended(process) for process in both]
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")}
    assert kept
    again = ended(start(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nbc")} == kept
    assert first == [again, again]


def test_a_folder_that_cannot_be_written_to_is_no_obstacle(tmp_path):
    pytest.importorskip("numba")
    expected = ended(start(tmp_path / "cache"))
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    assert ended(start(blocked / "cache")) == expected


def test_without_numba_the_kernels_are_those_in_torch(monkeypatch):
    monkeypatch.setattr(hoisted, "is_compiled", lambda: False)
    assert hoisted.functions.__wrapped__().__name__ == "ensuite.nn.kernels.eager"


@pytest.mark.usefixtures("kernels")
def test_threads_read_at_once():
    cell, inputs = GRU(3, 4), torch.randn(4, 6, 3)
    expected, _ = cell(inputs)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cell(inputs)[0], range(16)))
    assert all(torch.equal(each, expected) for each in found)


def test_padding_is_left_out_and_put_back():
    mask = torch.tensor([[0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1], [1, 0, 1, 0]]).bool()
    inputs, start = torch.randn(4, 4, 2), torch.randn(4, 2)
    laid = layout.layout_of(inputs, mask)
    assert [rows for *_, rows in laid.steps] == [3, 2, 1]  # that have a first position, a second
    sorted_start = laid.sort(start)
    states = torch.cat([sorted_start, laid.read(inputs)])
    shown = torch.stack([
        torch.stack([start[0], inputs[0, 1], inputs[0, 1], inputs[0, 1]]),
        start[1].expand(4, -1),
        torch.stack([inputs[2, 0], inputs[2, 1], inputs[2, 1], inputs[2, 3]]),
        torch.stack([inputs[3, 0], inputs[3, 0], inputs[3, 2], inputs[3, 2]]),
    ])  # fmt: skip
    assert torch.equal(laid.write(sorted_start, states[4:]), shown)
    assert torch.equal(laid.restore(laid.last(states)), shown[:, -1])
    heads = start[[2, 3, 0]], inputs[[2, 3], 0], inputs[2, 1:2]
    assert torch.equal(laid.before(states), torch.cat(heads))
    assert all(map(torch.equal, laid.before_by_time(states), heads))


def test_rows_of_one_length_are_not_moved():
    mask = torch.ones(2, 3, dtype=torch.bool)
    assert type(layout.layout_of(torch.randn(2, 3, 1), mask)) is layout.Rectangle


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("make", [RNN, LSTM, GRU])
@pytest.mark.parametrize("masked", [False, True])
def test_a_batch_without_rows_is_read(make, masked):
    cell, mask = make(3, 4), torch.zeros(0, 5, dtype=torch.bool)
    outputs, last = cell(torch.randn(0, 5, 3), mask if masked else None)
    outputs.sum().backward()
    assert outputs.shape == (0, 5, 4)
    assert last[0].shape == (0, 4)
    assert (cell.from_hidden.weight.grad == 0).all()


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("make", [RNN, LSTM, GRU])
def test_outputs_that_the_gradient_needs_may_not_be_changed(make):
    outputs, _ = make(3, 4)(torch.randn(2, 5, 3))
    outputs.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()
