"""Device, precision and determinism of computations; facts about the machine."""

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch

from ensuite.core.errors import UsageError


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called ``name``; 'auto' chooses a GPU if there is one.

    Raises:
        UsageError: If this machine has no such device.
    """
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = next(each for each in ("cuda", "mps", "cpu") if there[each])
    if not there.get(name):
        have = ", ".join(each for each in there if there[each])
        raise UsageError(f"--device {name}: there is none here; there is: {have}.")
    return torch.device(name)


def precision(name: str, device: torch.device) -> AbstractContextManager[None]:
    """Return the context manager for a forward pass in the precision called ``name``."""
    if name == "bfloat16":
        context: AbstractContextManager[None] = torch.autocast(device.type, torch.bfloat16)
        return context
    return nullcontext()


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Use deterministic algorithms on a CPU; restore the setting afterwards.

    Not on a GPU: this setting leaves the backward pass of attention as it is there, so results
    differ in their last digits from run to run anyway.
    """
    if device.type != "cpu":
        yield
        return
    before = torch.get_deterministic_debug_mode()
    memory = cast(Any, torch.utils.deterministic)  # a module with a property, unknown to mypy
    filled = memory.fill_uninitialized_memory
    memory.fill_uninitialized_memory = False  # filling costs time, and changes no result
    torch.set_deterministic_debug_mode("warn")  # its longer form imports a compiler first
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)
        memory.fill_uninitialized_memory = filled


def versions() -> dict[str, str]:
    """Return the versions of the packages that a result depends on."""
    names = ("ensuite", "torch", "numpy", "tokenizers", "scikit-learn")
    return {"python": platform.python_version(), **{name: _version(name) for name in names}}


@cache
def _version(name: str) -> str:
    """Return the version of an installed package; cached, since it takes milliseconds."""
    from importlib.metadata import version

    return version(name)


def machine() -> dict[str, str]:
    """Return facts about this machine, for results that were measured on it."""
    facts = {
        "system": platform.system(),
        "processor": _processor(),
        "cores": str(os.cpu_count() or 1),
        "threads": str(torch.get_num_threads()),
    }
    if torch.cuda.is_available():
        facts["accelerator"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
