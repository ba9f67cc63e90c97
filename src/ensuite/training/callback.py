"""Callbacks: hooks that are called while a model trains."""

from ensuite.training.training import Progress, Training


class Callback:
    """No-op callback; override the hooks you need."""

    def say(self, sentence: str) -> None:
        """Called with one sentence for the user."""

    def trial(self, number: int, trials: int, repeat: str = "") -> None:
        """Called before a comparison runs a trial.

        Args:
            number: Of the trial, from 1.
            trials: How many there are.
            repeat: What tells the trials of one candidate apart: "seed 0", or "fold 1".
        """

    def begin(self, name: str, training: Training) -> None:
        """Called when the candidate ``name`` starts, or resumes from a checkpoint."""

    def update(self, training: Training, progress: Progress) -> None:
        """Called after every optimizer update."""

    def end(self, name: str, training: Training) -> None:
        """Called when the candidate ``name`` has spent its budget."""
