"""Opening data: how long until a model can learn from it, and how much memory that takes.

    python -m benchmarks.opening [--data FOLDER] [--rounds N] [--megabytes N] [--limit N]

IMDB is opened for ``classify`` (read, split, checked, its vocabulary learned, every text encoded,
the rows of training made), first without a cache and then again, beside a script that reads both
files, learns the same vocabulary and encodes each text once with ``tokenizers``. Then a long plain
text is opened for ``generate``, and an LSTM is trained on it for a few updates, in a process whose
private memory is limited (``RLIMIT_DATA``) to that of its imports and so many megabytes more; and
so is an autoencoder (``reduce``) on a file of pictures.

Each measurement is a process of its own, in a folder of its own; imports are not counted. To
measure an older version, put its ``src`` in front: ``PYTHONPATH=OLD/src python -m
benchmarks.opening``.
"""

import argparse
import csv
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.protocol import (
    README,
    Contender,
    Effort,
    Found,
    between,
    ceilings,
    compare,
    publish,
)

HERE = Path(__file__).resolve().parent

PATIENCE = 3600
"""Seconds after which a process has failed."""

UPDATES = 20
"""Updates of the LSTM that is trained on the long text, and of the autoencoder on pictures."""


@dataclass(frozen=True)
class Measured:
    """What a process told of its work.

    Args:
        seconds: From its imports to the end.
        peak: Most resident memory, in MB above that of its imports.
        private: Private memory at the end, in MB above that of its imports.
        failed: Why it did not reach the end; empty where it did.
    """

    seconds: float
    peak: float = 0.0
    private: float = 0.0
    failed: str = ""


@dataclass
class Process:
    """Runs a job of this file in a process of its own, and keeps what each run told.

    Args:
        job: A name in ``JOBS``.
        arguments: Of the job.
        folder: Where it runs, so that a cache stays there; None: each time in a new one.
        limit: Megabytes of private memory above the imports; None: any.
    """

    job: str
    arguments: Sequence[str]
    folder: Path | None = None
    limit: float | None = None
    told: list[Measured] = field(default_factory=list)

    def __call__(self, calls: int) -> float:
        """Run so many times; return the seconds all of them took."""
        return sum(self.once().seconds for _ in range(calls))

    def once(self) -> Measured:
        """Run once."""
        with tempfile.TemporaryDirectory() as new:
            self.told.append(self._run(self.folder or Path(new)))
        return self.told[-1]

    def _run(self, folder: Path) -> Measured:
        paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*filter(None, map(_absolute, paths)), str(HERE.parent)]),
        }
        command = [sys.executable, "-m", "benchmarks.opening", "--child", self.job]
        command += [json.dumps(self.limit), *self.arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, cwd=folder, env=environment,
                timeout=PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:  # a library whose threads find no memory may wait forever
            return Measured(PATIENCE, failed=f"not done after {PATIENCE:,} s")
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
            return Measured(0.0, failed=last)
        return Measured(**json.loads(done.stdout.splitlines()[-1]))


def _absolute(path: str) -> str:
    return path and str(Path(path).resolve())


def status(name: str) -> float:
    """Return a figure of this process from ``/proc``, in MB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/self/status has no {name}")


def child(job: str, limit: float | None, arguments: Sequence[str]) -> None:
    """Do a job after its imports, and print what it took."""
    import_all()
    if limit is not None:
        most = int((status("VmData") + limit) * 2**20)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    peak, private = status("VmHWM"), status("VmData")
    began = perf_counter()
    JOBS[job](*arguments)
    seconds = perf_counter() - began
    told = {"peak": status("VmHWM") - peak, "private": status("VmData") - private}
    print(json.dumps({"seconds": seconds, **told}))


def import_all() -> None:
    """Import whatever the jobs use, so that none of it is counted."""
    import tokenizers  # noqa: F401
    import torch

    import ensuite.candidates
    import ensuite.models.autoencoder
    import ensuite.models.recurrent
    import ensuite.training.loop  # noqa: F401
    from ensuite.problem import find_task

    find_task("classify"), find_task("generate"), find_task("reduce")
    torch.zeros(2, 2, requires_grad=True).sum().backward()  # starts its threads


def open_classify(train: str, test: str) -> None:
    """Open two files as a comparison does, up to the rows that training reads."""
    from ensuite.problem import open_problem

    problem = open_problem("classify", train, test=test)
    items = problem.task.items(problem.parts["train"])
    problem.task.collate([items[0], items[len(items) - 1]])


def encode_plainly(train: str, test: str) -> None:
    """Read two files, learn the vocabulary that ensuite learns, and encode each text once."""
    from tokenizers import Tokenizer, models, normalizers, trainers
    from tokenizers import pre_tokenizers as cut

    texts = [read_plainly(Path(path)) for path in (train, test)]
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = cut.Whitespace()
    trainer = trainers.WordLevelTrainer(
        vocab_size=25_000, min_frequency=2, special_tokens=["[PAD]", "[UNK]"], show_progress=False
    )
    tokenizer.train_from_iterator(texts[0], trainer)
    for part in texts:
        encoded = tokenizer.encode_batch_fast(part)
        [np.array(each.ids, dtype=np.int32) for each in encoded]


def read_plainly(path: Path) -> list[str]:
    """Return the column text of a TSV file without quotation marks."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def train_generate(path: str) -> None:
    """Open a long text, and train an LSTM on it for a few updates."""
    from ensuite.models.recurrent import RecurrentOptions
    from ensuite.problem import open_problem
    from ensuite.training.budget import Budget
    from ensuite.training.loop import fit
    from ensuite.training.training import Training

    problem = open_problem("generate", path)
    options = RecurrentOptions(cell="lstm", width=64, embedding=32)
    training = Training.start(
        problem.task, options, problem.parts["train"], problem.parts["valid"][:1],
        recipe=options.recipe(), budget=Budget(UPDATES, "steps", None), seed=0,
    )  # fmt: skip
    for _ in fit(training):
        pass


def train_reduce(path: str) -> None:
    """Open a file of pictures, and train an autoencoder on it for a few updates."""
    from ensuite.candidates import Trained
    from ensuite.models.autoencoder import AutoencoderOptions
    from ensuite.problem import open_problem
    from ensuite.training.budget import Budget
    from ensuite.training.loop import fit

    problem = open_problem("reduce", path)
    options = AutoencoderOptions(code=64)
    candidate = Trained("autoencoder", "autoencoder", options, options.recipe())
    for _ in fit(candidate.begin(problem, Budget(UPDATES, "steps", None), seed=0)):
        pass


JOBS: dict[str, Callable[..., None]] = {
    "open": open_classify,
    "plain": encode_plainly,
    "train": train_generate,
    "reduce": train_reduce,
}


def write_text(path: Path, megabytes: float) -> None:
    """Write lines of words, the frequent ones often, until the file is so large."""
    random = np.random.default_rng(0)
    letters = np.array([*"etaoinshrdlucmfwypvbgkjqxz"])
    words = ["".join(random.choice(letters, random.integers(2, 10))) for _ in range(20_000)]
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1e6:
            file.writelines(some_lines(words, random))


def some_lines(words: Sequence[str], random: np.random.Generator) -> Iterator[str]:
    """Yield a thousand lines of words."""
    drawn = random.zipf(1.2, (1000, 20)) % len(words)
    for row in drawn.tolist():
        yield " ".join(words[number] for number in row) + "\n"


def open_files(train: Path, test: Path, effort: Effort) -> tuple[Found, list[str]]:
    """Measure how long it takes to open two files, and say what memory that took."""
    files = [str(train.resolve()), str(test.resolve())]
    with tempfile.TemporaryDirectory() as kept:
        plain, first = Process("plain", files), Process("open", files)
        again = Process("open", files, Path(kept))
        jobs = {"open, no cache yet": first, "open again": again}
        ours = {name: Contender("ensuite", process) for name, process in jobs.items()}
        peer = Contender("tokenizers, each text once", plain)
        rows = compare(ours, [peer], effort, amount=count_rows(train) + count_rows(test))
    lines = [say(name, each) for name, each in (*jobs.items(), (peer.name, plain))]
    return Found(rows, {}), lines


def count_rows(path: Path) -> int:
    """Return how many texts a file has."""
    return len(read_plainly(path))


def say(name: str, process: Process) -> str:
    """Return a line of the table of memory."""
    failed = [each.failed for each in process.told if each.failed]
    if failed:
        return f"| {name} | | | failed: {failed[0]} |"
    seconds = float(np.median([each.seconds for each in process.told]))
    peak = max(each.peak for each in process.told)
    private = max(each.private for each in process.told)
    return f"| {name} | {seconds:.1f} s | {peak:,.0f} MB | {private:,.0f} MB |"


def train_long_text(megabytes: float, limit: float) -> str:
    """Train on a text of that size in limited memory; return a line of the table of memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.txt"
        write_text(path, megabytes)
        process = Process("train", [str(path)], limit=limit)
        process.once()
    size = f"{megabytes:,.0f} MB of text" if megabytes >= 1 else "a little text"
    return say(f"{UPDATES} updates on {size}, at most {limit:,.0f} MB of its own", process)


def train_many_pictures(megabytes: float, limit: float) -> str:
    """Train on so many pictures in limited memory; return a line of the table of memory."""
    count = max(20, int(megabytes * 1e6 / 28**2))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pictures.npy"
        file = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 28, 28))
        random = np.random.default_rng(0)
        for start in range(0, count, 10_000):
            some = file[start : start + 10_000]
            some[:] = random.integers(0, 256, some.shape, np.uint8)
        file.flush()
        process = Process("reduce", [str(path)], limit=limit)
        process.once()
    size = f"{megabytes:,.0f} MB of pictures" if megabytes >= 1 else "a few pictures"
    return say(f"{UPDATES} updates on {size}, at most {limit:,.0f} MB of its own", process)


HEAD = (
    "| process | after its imports | most resident memory above them | private memory above them |",
    "|---|--:|--:|--:|",
)


def main() -> None:
    """Measure and publish, or do a job as a child."""
    parser = argparse.ArgumentParser(description="How long data takes to open, and in what memory.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("ENSUITE_DATA", "data")))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--megabytes", type=float, default=1000.0, help="of the long text, and of the pictures"
    )
    parser.add_argument("--limit", type=float, default=1000.0, help="MB above the imports")
    parser.add_argument("--dry", action="store_true", help="print, and write no file")
    asked = parser.parse_args()
    folder = asked.data / "imdb"
    files = folder / "imdb_train.tsv.gz", folder / "imdb_test.tsv.gz"
    found, lines = open_files(*files, Effort(asked.rounds, 0.0))
    if asked.megabytes:
        lines.append(train_long_text(asked.megabytes, asked.limit))
        lines.append(train_many_pictures(asked.megabytes, asked.limit))
    memory = "\n".join([*HEAD, *lines])
    if asked.dry:
        print(*found.rows, memory, sep="\n")
        return
    print(publish("opening", found, ceilings()), memory, sep="\n\n")
    document = between(README.read_text(encoding="utf-8"), "opening_memory", memory)
    README.write_text(document, encoding="utf-8")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:])
    else:
        main()
