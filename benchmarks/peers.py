"""Peers that run in separate environments."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from benchmarks.protocol import Contender, Missing

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"
FORECASTING = HERE.parent / ".venv-forecast" / "bin" / "python"
OUTLIERS = HERE.parent / ".venv-pyod" / "bin" / "python"


def keras_python() -> str | None:
    """Return an interpreter with Keras and TensorFlow: that of ``make bench``, or this one."""
    if PYTHON.exists():
        return str(PYTHON)
    return sys.executable if find_spec("tensorflow") and find_spec("keras") else None


def neuralforecast_python() -> str | None:
    """Return an interpreter with neuralforecast, if the environment for it was made."""
    return str(FORECASTING) if FORECASTING.exists() else None


def pyod_python() -> str | None:
    """Return an interpreter with PyOD, if the environment for it was made."""
    return str(OUTLIERS) if OUTLIERS.exists() else None


class Worker:
    """A peer in another process.

    It is a context manager: the process ends at the end of the context.

    Args:
        name: Name in the table.
        script: What the process runs, a file of this folder.
        python: The interpreter; None: the peer is not installed.
        missing: Why it is not, for the table.
        environment: Environment variables of the process.
    """

    def __init__(
        self,
        name: str,
        script: str,
        python: str | None,
        missing: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self.script, self.python, self.missing = name, script, python, missing
        self.environment = environment or {}
        self.versions: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if self.python is not None:
            self.process = subprocess.Popen(
                [self.python, str(HERE / self.script), str(torch.get_num_threads())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, env={**os.environ, **self.environment},
            )  # fmt: skip
            self.versions = self._read()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None:
            self.process.communicate()  # closes its input, which ends it

    def contender(self, job: str, **how: Any) -> Contender | Missing:
        """Return a contender that runs a job in the process, or ``Missing`` without it."""
        if self.process is None:
            return Missing(self.name, self.missing)
        name = json.dumps([job, how])

        def run(calls: int) -> float:
            return float(self._ask({"name": name, "job": job, "how": how, "calls": calls}))

        return Contender(self.name, run)

    def _ask(self, question: dict[str, Any]) -> Any:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self.process is not None
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait()}.")
        return json.loads(line)


class Keras(Worker):
    """Keras 3 on TensorFlow, its fastest backend on a CPU."""

    def __init__(self) -> None:
        super().__init__(
            "Keras", "keras_worker.py", keras_python(), "no TensorFlow; `make bench` installs it",
            {"KERAS_BACKEND": "tensorflow"},
        )  # fmt: skip


class NeuralForecast(Worker):
    """The GRU of neuralforecast, which trains by Lightning."""

    def __init__(self) -> None:
        super().__init__(
            "neuralforecast", "neuralforecast_worker.py", neuralforecast_python(),
            "no neuralforecast; see benchmarks/README.md",
        )  # fmt: skip


class PyOD(Worker):
    """PyOD, whose autoencoder is written in torch."""

    def __init__(self) -> None:
        super().__init__(
            "PyOD", "pyod_worker.py", pyod_python(), "no PyOD; see benchmarks/README.md"
        )
