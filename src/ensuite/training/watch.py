"""What someone who looks on is told while a model trains."""

from ensuite.training.training import Progress, Training


class Watch:
    """Silence. Override what should be seen."""

    def say(self, sentence: str) -> None:
        """Hear one sentence: what is about to happen, or was found."""

    def begin(self, name: str, training: Training) -> None:
        """Hear that ``name`` starts, or goes on from a checkpoint."""

    def update(self, training: Training, progress: Progress) -> None:
        """Hear of every update."""

    def end(self, name: str, training: Training) -> None:
        """Hear that ``name`` has spent its budget."""
