"""The compiled kernels: loaded when needed, kept on disk where that can be, always the same."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from ensuite.nn import GRU
from ensuite.nn.kernels import hoisted

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
