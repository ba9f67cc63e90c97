"""Training progress in a notebook: one output area, which is updated in place."""

import html
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ensuite.comparison.progress import Tracker
from ensuite.core.printable import printable
from ensuite.training.callback import Callback
from ensuite.training.training import Progress, Training

SECONDS = 0.2
"""Time between two updates of the output, at least."""

Display = Callable[..., Any]
"""``IPython.display.display``: shows an object, and returns a handle that can show another."""


class Shown:
    """What the notebook shows: HTML, or plain text where there is none."""

    def __init__(self, lines: list[str], bar: str, share: float) -> None:
        self.lines, self.bar, self.share = lines, bar, share

    def __repr__(self) -> str:
        return "\n".join([*self.lines, *([self.bar] if self.bar else [])])

    def _repr_html_(self) -> str:
        said = html.escape("\n".join(self.lines))
        text = f'<pre style="white-space: pre-wrap">{said}</pre>' if said else ""
        if not self.bar:
            return text
        value = f"{min(self.share, 1.0):.3f}"
        return f'{text}<div><progress value="{value}"></progress> {html.escape(self.bar)}</div>'


class NotebookProgress(Tracker):
    """Show messages and a progress bar in the output of a notebook's cell.

    Args:
        display: Shows an object in the notebook.
        clock: Returns the current time in seconds.
    """

    def __init__(self, display: Display, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self.lines: list[str] = []
        self.named, self.bar, self.share = "", "", 0.0
        self.shown_at = clock()
        self.handle = display(self.shown(), display_id=True)

    def shown(self) -> Shown:
        """Return what is to be seen now."""
        return Shown(list(self.lines), self.bar, self.share)

    def show(self) -> None:
        """Replace what is seen."""
        self.shown_at = self.clock()
        if self.handle is not None:  # a kernel that cannot update returns no handle
            self.handle.update(self.shown())

    def say(self, sentence: str) -> None:
        self.lines.append(printable(sentence))
        self.show()

    def begin(self, name: str, training: Training) -> None:
        super().begin(name, training)
        self.named = self.title(name, training.seed)
        self.bar, self.share = self.named, 0.0
        self.show()

    def update(self, training: Training, progress: Progress) -> None:
        if self.clock() - self.shown_at < SECONDS:
            return
        facts = filter(None, self.facts(training, progress))
        self.bar, self.share = f"{self.named}: {', '.join(facts)}", progress.share
        self.show()

    def end(self, name: str, training: Training) -> None:
        self.bar = ""
        super().end(name, training)


def progress_here() -> Callback:
    """Return what shows progress in a notebook, and a no-op callback everywhere else.

    IPython is not imported: in a notebook it already is.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if not hasattr(shell, "kernel"):
        return Callback()
    return NotebookProgress(import_module("IPython.display").display)
