"""Read an endless stream with a recurrent model, one token at a time, in constant memory.

    python -m benchmarks.stream [STEPS]

Prints the memory of the process, the size of the state and the steps per second, ten times on the
way.
"""

import sys
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import torch

from ensuite.core.batch import Batch, Tokens
from ensuite.models.recurrent import RecurrentOptions

VOCABULARY = 256


class Mark(NamedTuple):
    """One measurement during the stream."""

    steps: int
    megabytes: float  # memory of the process
    carried: int  # bytes of the state, carried from step to step
    rate: float  # steps per second since the previous mark


def memory() -> float:
    """Return the resident memory of this process, in MB."""
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096 / 1e6


@torch.inference_mode()
def read(steps: int, marks: int = 10, width: int = 64) -> list[Mark]:
    """Read a stream of random tokens and return equally spaced measurements."""
    torch.manual_seed(0)
    inputs = {"tokens": Tokens(VOCABULARY)}
    backbone = RecurrentOptions(cell="lstm", width=width).build(inputs).eval()
    tokens = torch.randint(1, VOCABULARY, (1009, 1))
    carry = backbone.begin(Batch(inputs={"tokens": tokens[:1]}))
    found, began = [], perf_counter()
    for number in range(1, steps + 1):
        _, carry = backbone.step({"tokens": tokens[number % len(tokens)]}, carry)
        if number % (steps // marks) == 0:
            size = sum(part.untyped_storage().nbytes() for part in carry.values())
            rate = steps // marks / (perf_counter() - began)
            found.append(Mark(number, memory(), size, rate))
            began = perf_counter()
    return found


if __name__ == "__main__":
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    print("     steps  memory (MB)  carried (bytes)  steps/s")
    for mark in read(steps):
        print(f"{mark.steps:10,d}  {mark.megabytes:11.1f}  {mark.carried:15,d}  {mark.rate:7,.0f}")
