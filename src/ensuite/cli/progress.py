"""Training progress on a terminal: messages, a progress bar, one line for each finished run."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ensuite.cli.pages import wrap
from ensuite.comparison.progress import Tracker
from ensuite.core.printable import printable
from ensuite.training.training import Progress as Update
from ensuite.training.training import Training

BAR = 20
"""Width of the bar, in terminal cells."""


class TerminalProgress(Tracker):
    """Print messages, with a progress bar on a terminal and plain lines elsewhere.

    Args:
        quiet: Whether messages go to standard error, because standard output is a JSON document.
        clock: Returns the current time in seconds.
    """

    def __init__(self, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.stream = sys.stderr if quiet else sys.stdout
        self.console = Console(stderr=True)
        self.bar: Progress | None = None
        self.line: Any = None

    def say(self, sentence: str) -> None:
        terminal = self.stream.isatty()
        sentence = printable(sentence)
        print(
            wrap(sentence, self.console.width) if terminal else sentence,
            file=self.stream,
            flush=True,
        )

    def begin(self, name: str, training: Training) -> None:
        super().begin(name, training)
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(BAR), TextColumn("{task.fields[said]}"),
            )  # fmt: skip
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.line = self.bar.add_task(self.title(name, training.seed), total=1.0, said="")
            self.bar.start()

    def update(self, training: Training, progress: Update) -> None:
        if self.bar is None:
            return
        if progress.scores or progress.update % 20 == 0:
            before = len(self.bar.tasks[0].description) + BAR + 2
            said = fitting(self.facts(training, progress), self.console.width - before)
            self.bar.update(self.line, completed=min(progress.share, 1.0), said=said)

    def end(self, name: str, training: Training) -> None:
        self.close()
        super().end(name, training)

    def close(self) -> None:
        """Remove the progress bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


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
