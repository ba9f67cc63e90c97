"""Training progress on a terminal: messages, a progress bar, one line for each finished run."""

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ensuite.report import words
from ensuite.training.callback import Callback
from ensuite.training.training import Progress as Update
from ensuite.training.training import Training


class TerminalProgress(Callback):
    """Print messages, with a progress bar on a terminal and plain lines elsewhere.

    Args:
        quiet: Whether messages go to standard error, because standard output is a JSON document.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.stream = sys.stderr if quiet else sys.stdout
        self.console = Console(stderr=True)
        self.bar: Progress | None = None
        self.line: Any = None

    def say(self, sentence: str) -> None:
        print(sentence, file=self.stream, flush=True)

    def begin(self, name: str, training: Training) -> None:
        if training.state.spent.steps:
            self.say(
                f"{name} seed {training.seed + 1} resumes from step {training.state.spent.steps:,}"
            )
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"), BarColumn(26), TextColumn("{task.fields[said]}"),
            )  # fmt: skip
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.line = self.bar.add_task(f"{name}  seed {training.seed + 1}", total=1.0, said="")
            self.bar.start()

    def update(self, training: Training, progress: Update) -> None:
        if self.bar is None:
            return
        if progress.scores or progress.update % 20 == 0:
            loss = float(progress.loss.value)
            spent = f"{training.state.spent.seconds:.0f} s   loss {loss:.3f}"
            self.bar.update(
                self.line, completed=min(progress.share, 1.0), said=f"{spent}{best(training)}"
            )

    def end(self, name: str, training: Training) -> None:
        self.close()
        spent = training.state.spent
        self.say(
            f"{name:12s} seed {training.seed + 1}: {spent.seconds:.0f} s, {spent.epochs:.1f} epochs"
            f"{best(training)}"
        )

    def close(self) -> None:
        """Remove the progress bar."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def best(training: Training) -> str:
    """Format the last and the best validation score; empty before the first evaluation."""
    history, best_value = training.state.history, training.state.best
    if not history or best_value is None:
        return ""
    name = training.metric or next(iter(history[-1]["scores"]))
    values = [point["scores"][name] for point in history]
    reached = next((v for v in values if v in (best_value, -best_value)), None)
    last, top = (words.score(v, words.decimals([v])) for v in (values[-1], reached))
    return f", valid {training.display.title(name)} {last}, best {top}"
