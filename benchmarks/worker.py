"""The loop of a process that runs a peer: reads one job per line as JSON, answers with seconds.

It imports nothing from ensuite, so that it can run in a separate environment. The time is measured
in that process.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping

Run = Callable[[int], float]
"""Does a job a number of times and returns the seconds that took."""

answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)  # output that libraries print must not mix with the answers


def answer(value: object) -> None:
    """Write a value as one line of JSON."""
    print(json.dumps(value), file=answers, flush=True)


def serve(jobs: Mapping[str, Callable[..., Run]], versions: Mapping[str, str]) -> None:
    """Answer jobs until standard input is closed.

    Args:
        jobs: Each prepares a job of its name, with the settings that it is asked with.
        versions: Of the peer, which are told first.
    """
    answer(versions)
    prepared: dict[str, Run] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["name"]
        if name not in prepared:
            prepared[name] = jobs[asked["job"]](**asked["how"])
        answer(prepared[name](asked["calls"]))
