"""How far training is: which trial of how many, the scores so far, the time left for all."""

import time
from collections.abc import Callable

from ensuite.report import words
from ensuite.training.callback import Callback
from ensuite.training.training import Progress, Training

LONGEST_NAME = 20


class Tracker(Callback):
    """Keep count of trials and time, and say when one resumes and ends; a parent of what shows it.

    Args:
        clock: Returns the current time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.number, self.trials, self.repeat = 1, 1, ""
        self.began: tuple[float, int] | None = None

    def trial(self, number: int, trials: int, repeat: str = "") -> None:
        self.number, self.trials, self.repeat = number, trials, repeat

    def begin(self, name: str, training: Training) -> None:
        if self.began is None:
            self.began = self.clock(), self.number
        if training.state.spent.steps:
            step = f"step {training.state.spent.steps:,}"
            self.say(f"{name} {self.which(training.seed)} resumes from {step}")

    def end(self, name: str, training: Training) -> None:
        spent = training.state.spent
        epochs = words.epochs(spent.epochs)
        noun = "epoch" if epochs == "1" else "epochs"
        facts = f"{spent.seconds:.0f} s, {epochs} {noun}", *best(training)
        self.say(f"{name:12s} {self.which(training.seed)}: {', '.join(facts)}")

    def which(self, seed: int) -> str:
        """Return what tells this trial of a candidate from its others."""
        return self.repeat or f"seed {seed}"

    def title(self, name: str, seed: int) -> str:
        """Return what is trained, and which trial of how many it is."""
        number = f", {self.number} of {self.trials}" if self.trials > 1 else ""
        return f"{words.shorten(name, LONGEST_NAME)} {self.which(seed)}{number}"

    def facts(self, training: Training, progress: Progress) -> tuple[str, ...]:
        """Return the time left, the loss and the validation scores, the most important first."""
        return (
            left(self.seconds_left(progress.share)),
            f"loss {float(progress.loss.value):.3f}",
            *best(training),
        )

    def seconds_left(self, share: float) -> float | None:
        """Return how long all trials will take, by how long those of this call took so far."""
        if self.began is None:
            return None
        start, first = self.began
        done = self.number - first + min(share, 1.0)
        remaining = self.trials - self.number + 1 - min(share, 1.0)
        return (self.clock() - start) / done * remaining if done > 0 else None


def left(seconds: float | None) -> str:
    """Say how long everything will still take.

    >>> left(None), left(42.0), left(312.0)
    ('', '42 s left', '5.2 min left')
    """
    return "" if seconds is None else f"{words.duration(seconds)} left"


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
