"""Jobs side by side give the same results as one after the other, and stop together."""

import os
from concurrent.futures import Future
from pathlib import Path
from pickle import PicklingError
from threading import Event
from typing import Any

import pytest
import torch

from ensuite.comparison.experiment import run_comparison
from ensuite.comparison.jobs import Stop, _keep_busy, run_jobs
from ensuite.comparison.plan import Terms
from ensuite.core.errors import TrainingError, UsageError
from ensuite.problem import open_problem
from ensuite.specs import Settings, baselines, choose
from ensuite.training.callback import Callback

ROWS = [
    {"text": f"a {'good' if n % 3 else 'bad'} film {n}", "label": str(n % 2)} for n in range(60)
]


def double(job: int, callback: Callback) -> tuple[int, int]:
    if job < 0:
        raise TrainingError("It diverged.")
    if job == 99:
        os._exit(1)
    return 2 * job, os.getpid()


def test_one_process_is_this_one() -> None:
    found = dict(run_jobs(iter([1, 2]), double, callback=Callback()))
    assert found == {1: (2, os.getpid()), 2: (4, os.getpid())}


def test_each_job_is_run_elsewhere_and_an_error_there_is_that_error_here() -> None:
    found = dict[int, tuple[int, int]]()
    with pytest.raises(TrainingError, match="diverged"):
        for job, result in run_jobs(
            iter([0, 1, 2, 3, -1]), double, processes=2, callback=Callback()
        ):
            found[job] = result
    assert {job: result for job, (result, _) in found.items()}.items() <= {
        (n, 2 * n) for n in range(4)
    }
    assert len(found) >= 3
    assert os.getpid() not in {process for _, process in found.values()}


def test_a_process_that_ends_is_told() -> None:
    with pytest.raises(TrainingError, match="A process of --jobs has ended"):
        list(run_jobs(iter([99]), double, processes=2, callback=Callback()))


class Pool:
    """A pool that cannot send what it is given."""

    def submit(self, run: Any, job: Any) -> Future[Any]:
        future = Future[Any]()
        future.set_exception(PicklingError("no such name"))
        return future


def test_what_cannot_be_sent_is_told() -> None:
    with pytest.raises(UsageError, match=r"another process \(no such name\); leave out --jobs"):
        list(_keep_busy(Pool(), iter([1]), 2))  # type: ignore[arg-type]


def weights(folder: Path) -> dict[str, bytes]:
    found = folder.glob("trials/*/*/model.safetensors")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def test_side_by_side_gives_the_same_bits(tmp_path: Path) -> None:
    problem = open_problem("classify", ROWS)
    models = choose(["rnn:width=4", "gru:width=4"], problem, Settings(), torch.device("cpu"))
    boards = {}
    for jobs in (1, 2):
        terms = Terms.parse("6steps", None, seeds=2, threads=1, jobs=jobs)
        boards[jobs] = run_comparison(
            problem, [*models, *baselines(problem)], terms=terms, folder=tmp_path / str(jobs),
            callback=Callback(),
        ).leaderboard  # fmt: skip
    assert len(weights(tmp_path / "1")) == 6
    assert weights(tmp_path / "1") == weights(tmp_path / "2")
    one, two = ({row.name: row.metrics for row in board.rows} for board in boards.values())
    assert one == two


@pytest.mark.parametrize(("asked", "parent"), [(True, os.getppid()), (False, -1)])
def test_training_elsewhere_stops_with_this_process(asked: bool, parent: int) -> None:
    event: Any = Event()
    if asked:
        event.set()
    with pytest.raises(KeyboardInterrupt):
        Stop(event, parent).update(None, None)  # type: ignore[arg-type]
    Stop(Event(), os.getppid()).update(None, None)  # type: ignore[arg-type]
