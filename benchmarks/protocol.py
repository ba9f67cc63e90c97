"""Measure ensuite against its peers: interleaved rounds, ratios, intervals, hardware limits.

Machines are shared and noisy, so times measured separately are hard to compare. Here, every round
runs each contender once, one after the other. Ratios are computed within a round, and the median
over the rounds is reported. The first call, which includes compilation and warm-up, is reported
separately.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from ensuite.training.device import machine, versions

README = Path(__file__).with_name("README.md")

DRAWS = 2000
"""Number of bootstrap samples for the confidence interval of a median."""


@dataclass(frozen=True)
class Contender:
    """Something that does the work.

    Args:
        name: Name in the table.
        run: Does the work the given number of times and returns the total seconds.
    """

    name: str
    run: Callable[[int], float]


@dataclass(frozen=True)
class Missing:
    """A peer that is not installed, and the reason; the table lists it as skipped."""

    name: str
    reason: str


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Args:
        repeats: Number of rounds after the warm-up.
        seconds: Minimum time of a contender in a round; short work is repeated.
    """

    repeats: int = 9
    seconds: float = 0.2


@dataclass(frozen=True)
class Row:
    """One job, ours against one peer. Times are medians, in seconds for the work done once.

    Args:
        job: Name of the work.
        peer: Name of the peer.
        ours: Our time.
        theirs: Time of the peer; None if it is missing.
        ratio: theirs / ours, the median over rounds: above 1, ensuite is faster.
        low: Lower end of the 95 % confidence interval of the ratio.
        high: Upper end of the interval.
        first_ours: Time of our first call.
        first_theirs: Time of the peer's first call.
        amount: Number of rows (or tokens) that the work reads; 0 if that does not apply.
        flops: Number of multiplications and additions in its matrix products.
        skipped: Why the peer is missing.
    """

    job: str
    peer: str
    ours: float
    theirs: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    first_ours: float | None = None
    first_theirs: float | None = None
    amount: int = 0
    flops: float = 0.0
    skipped: str = ""


@dataclass(frozen=True)
class Found:
    """What a benchmark measured, and the versions of the peers in other environments."""

    rows: Sequence[Row]
    versions: Mapping[str, str]


def timed(
    name: str, work: Callable[[], Any], clock: Callable[[], float] = perf_counter
) -> Contender:
    """Return a contender that works in this process."""

    def run(calls: int) -> float:
        began = clock()
        for _ in range(calls):
            work()
        return clock() - began

    return Contender(name, run)


def compare(
    ours: Mapping[str, Contender],
    peers: Sequence[Contender | Missing],
    effort: Effort | None = None,
    *,
    amount: int = 0,
    flops: float = 0.0,
) -> list[Row]:
    """Measure ours and every peer in the same rounds; return a row for each job and peer.

    Args:
        ours: Our contender for each job; several (a job and a part of it) may share the peers.
        peers: Contenders to compare with.
        effort: How long to measure.
        amount: Number of rows that the work reads.
        flops: Number of operations in its matrix products.
    """
    mine = {job: Measured(contender) for job, contender in ours.items()}
    theirs = {each.name: Measured(each) for each in peers if isinstance(each, Contender)}
    measure_in_rounds([*mine.values(), *theirs.values()], effort or Effort())
    return [
        told(job, one, peer, theirs.get(peer.name), amount, flops)
        for job, one in mine.items()
        for peer in peers
    ]


@dataclass
class Measured:
    """A contender, the time of its first call, and its time per call in each round."""

    contender: Contender
    first: float = 0.0
    times: list[float] = field(default_factory=list)


def measure_in_rounds(all_of_them: Sequence[Measured], effort: Effort) -> None:
    """Run the contenders one after the other in every round, after a warm-up."""
    calls = []
    for each in all_of_them:
        each.first = each.contender.run(1)
        calls.append(enough(each.contender.run(1), effort.seconds))
        if calls[-1] > 1:
            each.contender.run(calls[-1])  # warm up caches and thread pools with a whole round
    for _ in range(effort.repeats):
        for each, count in zip(all_of_them, calls, strict=True):
            each.times.append(each.contender.run(count) / count)


def told(
    job: str, ours: Measured, peer: Contender | Missing, theirs: Measured | None, amount: int,
    flops: float,
) -> Row:  # fmt: skip
    """Return the row of the table for ours and one peer."""
    time = median(ours.times)
    if theirs is None:
        reason = peer.reason if isinstance(peer, Missing) else ""
        return Row(job, peer.name, time, amount=amount, flops=flops, skipped=reason)
    ratios = [slow / fast for slow, fast in zip(theirs.times, ours.times, strict=True)]
    low, high = interval(ratios)
    return Row(
        job, peer.name, time, median(theirs.times), median(ratios), low, high, ours.first,
        theirs.first, amount, flops,
    )  # fmt: skip


def enough(once: float, seconds: float) -> int:
    """Return the calls per round of work that takes ``once`` seconds."""
    return max(1, math.ceil(seconds / max(once, 1e-6)))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the median, with a fixed seed."""
    found = np.asarray(values)
    picked = np.random.default_rng(0).integers(len(found), size=(DRAWS, len(found)))
    low, high = np.quantile(np.median(found[picked], axis=1), (0.025, 0.975))
    return float(low), float(high)


def ceilings(
    largest: int = 2048, megabytes: int = 256, repeats: int = 5, patience: float = 0.2
) -> dict[str, float]:
    """Measure the limits of the machine: matrix products in GFLOP/s, reading memory in GB/s.

    Args:
        largest: Rows of the largest square matrix that is multiplied by itself.
        megabytes: Amount of memory that is read.
        repeats: Number of repetitions, of which the fastest counts.
        patience: If a product takes longer than these seconds, no larger one is tried: without
            instructions for bfloat16, a CPU is a thousand times slower in it.
    """
    found = {}
    for name, kind in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        size, seconds = largest // 16, 0.0
        while size < largest and seconds < patience:
            size *= 2
            square = torch.randn(size, size).to(kind)
            seconds = fastest(timed(name, partial(torch.matmul, square, square)), 1)
        seconds = fastest(timed(name, partial(torch.matmul, square, square)), repeats)
        found[f"{name} GEMM GFLOP/s"] = 2 * size**3 / 1e9 / seconds
    memory = torch.ones(megabytes * 2**18)
    found["read GB/s"] = memory.nbytes / 1e9 / fastest(timed("read", memory.sum), repeats)
    return found


def fastest(contender: Contender, repeats: int) -> float:
    """Return the shortest of several times, after a warm-up call."""
    contender.run(1)
    return min(contender.run(1) for _ in range(repeats))


def publish(
    name: str, found: Found, limits: Mapping[str, float], folder: Path = README.parent
) -> str:
    """Write ``results/NAME.json``, and the table between its two markers in the README.

    Args:
        name: Name of the benchmark and of its markers.
        found: What was measured.
        limits: Limits of the machine, measured in the same run.
        folder: Folder of the README.
    """
    known = {key: value for key, value in versions().items() if key != "ensuite"}
    about = {
        "command": f"python -m benchmarks.{name}",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": {**known, **found.versions},
        "ceilings": dict(limits),
    }
    written = {**about, "rows": [asdict(row) for row in found.rows]}
    (folder / "results").mkdir(exist_ok=True)
    path = folder / "results" / f"{name}.json"
    path.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    text = f"{describe(about)}\n\n{table(found.rows, limits)}"
    readme = folder / "README.md"
    document = between(readme.read_text(encoding="utf-8"), name, text)
    readme.write_text(document, encoding="utf-8")
    return text


def between(document: str, name: str, text: str) -> str:
    """Return the document with the text between its two markers replaced.

    >>> between("a <!-- x -->old<!-- /x --> b", "x", "new")
    'a <!-- x -->\\nnew\\n<!-- /x --> b'
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    written, count = pattern.subn(lambda _: f"{start}\n{text}\n{end}", document)
    if count != 1:
        raise ValueError(f"The README needs {start} and {end}, once.")
    return written


def describe(about: Mapping[str, Any]) -> str:
    """Return the lines above a table: command, machine, versions, limits."""
    facts = about["machine"]
    where = f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} threads"
    where = f"{facts['accelerator']}. {where}" if "accelerator" in facts else where
    known = ", ".join(f"{key} {value}" for key, value in about["versions"].items())
    most = ", ".join(f"{key} {value:.0f}" for key, value in about["ceilings"].items())
    return (
        f"`{about['command']}`, {about['date']}. {where}. {known}.\n"
        f"Ceilings of this run: {most}."
    )  # fmt: skip


def table(rows: Sequence[Row], limits: Mapping[str, float]) -> str:
    """Return the rows as a Markdown table; operations are told as a share of the first limit."""
    limit, most = next(iter(limits.items()), ("", math.nan))
    lines = [
        "| job | peer | ours | peer's | ratio (95 %) | ours a second "
        f"| of {limit.removesuffix(' GFLOP/s')} "
        "| first call: ours | peer's |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        rate = f"{row.amount / row.ours:,.0f}" if row.amount else ""
        share = f"{row.flops / row.ours / 1e9 / most:.1%}" if row.flops else ""
        theirs, ratio = f"skipped: {row.skipped}", ""
        if row.ratio is not None:
            theirs = duration(row.theirs)
            ratio = f"**{row.ratio:.2f}** ({row.low:.2f} to {row.high:.2f})"
        cells = [row.job, row.peer, duration(row.ours), theirs, ratio, rate, share]
        cells += [duration(row.first_ours), duration(row.first_theirs)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def duration(seconds: float | None) -> str:
    """Format a time in a suitable unit.

    >>> duration(0.00123), duration(2.5), duration(45e-6)
    ('1.2 ms', '2.5 s', '45 µs')
    """
    if seconds is None:
        return ""
    for size, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds > 0.9995 * size or unit == "µs":
            break
    value = seconds / size
    return f"{value:.{1 if value < 10 else 0}f} {unit}"
