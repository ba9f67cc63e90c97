"""Peers that run in separate environments."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

from benchmarks.protocol import Contender, Missing

HERE = Path(__file__).parent
PYTHON = HERE.parent / ".venv-bench" / "bin" / "python"


def keras_python() -> str | None:
    """Return an interpreter with Keras and TensorFlow: that of ``make bench``, or this one."""
    if PYTHON.exists():
        return str(PYTHON)
    return sys.executable if find_spec("tensorflow") and find_spec("keras") else None


class Keras:
    """Keras 3 on TensorFlow, its fastest backend on a CPU, in another process.

    It is a context manager: the process ends at the end of the context.
    """

    name = "Keras"

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if (python := keras_python()) is not None:
            worker = [python, str(HERE / "keras_worker.py"), str(torch.get_num_threads())]
            environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
            self.process = subprocess.Popen(
                worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, env=environment,
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
        """Return a contender that runs a job in Keras, or ``Missing`` without Keras."""
        if self.process is None:
            return Missing(self.name, "no TensorFlow; `make bench` installs it")
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
            raise RuntimeError(f"The worker of Keras ended with {self.process.wait()}.")
        return json.loads(line)
