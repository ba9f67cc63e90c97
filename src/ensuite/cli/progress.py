"""Training progress on a terminal: messages, a progress bar, one line for each finished run."""

import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ensuite.core.printable import printable
from ensuite.report import words
from ensuite.training.callback import Callback
from ensuite.training.training import Progress as Update
from ensuite.training.training import Training

BAR = 20
"""Width of the bar, in terminal cells."""

LONGEST_NAME = 20


class TerminalProgress(Callback):
    """Print messages, with a progress bar on a terminal and plain lines elsewhere.

    Args:
        quiet: Whether messages go to standard error, because standard output is a JSON document.
        clock: Returns the current time in seconds.
    """

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream = sys.stderr if quiet else sys.stdout
        self.console = Console(stderr=True)
        self.clock = clock
        self.bar: Progress | None = None
        self.line: Any = None
        self.number, self.trials = 1, 1
        self.began: tuple[float, int] | None = None

    def say(self, sentence: str) -> None:
        terminal = self.stream.isatty()
        sentence = printable(sentence)
        print(
            wrap(sentence, self.console.width) if terminal else sentence,
            file=self.stream,
            flush=True,
        )

    def trial(self, number: int, trials: int) -> None:
        self.number, self.trials = number, trials

    def begin(self, name: str, training: Training) -> None:
        if self.began is None:
            self.began = self.clock(), self.number
        if training.state.spent.steps:
            self.say(
                f"{name} seed {training.seed} resumes from step {training.state.spent.steps:,}"
            )
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(BAR), TextColumn("{task.fields[said]}"),
            )  # fmt: skip
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.line = self.bar.add_task(self.title(name, training.seed), total=1.0, said="")
            self.bar.start()

    def title(self, name: str, seed: int) -> str:
        """Return what stands before the bar: which trial of how many."""
        which = f", {self.number} of {self.trials}" if self.trials > 1 else ""
        return f"{words.shorten(name, LONGEST_NAME)} seed {seed}{which}"

    def update(self, training: Training, progress: Update) -> None:
        if self.bar is None:
            return
        if progress.scores or progress.update % 20 == 0:
            before = len(self.bar.tasks[0].description) + BAR + 2
            facts = (
                left(self.seconds_left(progress.share)),
                f"loss {float(progress.loss.value):.3f}",
                *best(training),
            )
            said = fitting(facts, self.console.width - before)
            self.bar.update(self.line, completed=min(progress.share, 1.0), said=said)

    def seconds_left(self, share: float) -> float | None:
        """Return how long all trials will take, by how long those of this call took so far."""
        if self.began is None:
            return None
        start, first = self.began
        done = self.number - first + min(share, 1.0)
        remaining = self.trials - self.number + 1 - min(share, 1.0)
        return (self.clock() - start) / done * remaining if done > 0 else None

    def end(self, name: str, training: Training) -> None:
        self.close()
        spent = training.state.spent
        facts = f"{spent.seconds:.0f} s, {words.epochs(spent.epochs)} epochs", *best(training)
        self.say(f"{name:12s} seed {training.seed}: {', '.join(facts)}")

    def close(self) -> None:
        """Remove the progress bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def left(seconds: float | None) -> str:
    """Say how long everything will still take.

    >>> left(None), left(42.0), left(312.0)
    ('', '42 s left', '5.2 min left')
    """
    return "" if seconds is None else f"{words.duration(seconds)} left"


def fitting(facts: Iterable[str], width: int) -> str:
    """Join facts with commas, as many of the first ones as fit.

    >>> fitting(["5 min left", "", "loss 0.310", "best 0.81"], 24)
    '5 min left, loss 0.310'
    """
    line = ""
    for fact in filter(None, facts):
        longer = f"{line}, {fact}" if line else fact
        if len(longer) > width:
            break
        line = longer
    return line


def wrap(sentence: str, width: int) -> str:
    """Break lines between words, below the text of a line that begins with a topic.

    >>> print(wrap("split        5,536 train, 692 valid, 692 test", 32))
    split        5,536 train, 692
                 valid, 692 test
    """
    return "\n".join(_wrapped(line, width) for line in sentence.split("\n"))


def _wrapped(line: str, width: int) -> str:
    topic = re.match(r"\S* {2,}(?=\S)", line)
    start = topic[0] if topic and len(topic[0]) <= width // 2 else ""
    return textwrap.fill(
        line[len(start) :],
        width,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_long_words=False,
        break_on_hyphens=False,
    )


def best(training: Training) -> tuple[str, ...]:
    """Return the last and the best validation score; nothing before the first evaluation."""
    history, best_value = training.state.history, training.state.best
    if not history or best_value is None:
        return ()
    name = training.metric or next(iter(history[-1]["scores"]))
    values = [point["scores"][name] for point in history]
    reached = next((v for v in values if v in (best_value, -best_value)), None)
    last, top = (words.score(v, words.decimals([v])) for v in (values[-1], reached))
    return f"valid {training.display.title(name)} {last}", f"best {top}"
