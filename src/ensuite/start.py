"""What training starts from other than new weights: another run, or a published checkpoint."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import torch

from ensuite.checkpoint import load_head, load_weights
from ensuite.core.backbone import BackboneOptions, Pretrained
from ensuite.core.batch import Image
from ensuite.core.errors import RunError, UsageError
from ensuite.core.files import read_json
from ensuite.core.options import to_json
from ensuite.data.processors.numbers import Scaled
from ensuite.network import saved_options
from ensuite.predictor import CONFIG, OURS, TASK, TOKENIZERS, WEIGHTS, Predictor, find_run
from ensuite.training.training import Training


@dataclass(frozen=True)
class Start:
    """A run whose backbone and tokenizer a candidate of any task starts from.

    Args:
        given: The path as typed, for messages.
        folder: The run folder.
        backbone: The name of its backbone in the catalog.
        options: Of its backbone.
    """

    given: str
    folder: Path
    backbone: str
    options: BackboneOptions

    @classmethod
    def open(cls, given: str | Path) -> Self:
        """Find a run, or the winner of a comparison.

        Raises:
            RunError: If it is no whole run.
            UsageError: If it is a baseline, which has no backbone.
        """
        folder = find_run(Path(given))
        config = run_config(folder)
        if "backbone" not in config:
            raise UsageError(
                f"{given} is a {config.get('kind')}: it has no backbone to start from; choose a "
                "run of a network."
            )
        return cls(str(given), folder, config["backbone"], saved_options(config))

    @property
    def fingerprint(self) -> str:
        """What tells its weights from all others."""
        return file_hash(self.folder / WEIGHTS)

    def pretrained(self) -> Pretrained:
        """Return what the run fixes: its tokenizer, and the sizes of what its backbone reads."""
        own = self.options.pretrained() or Pretrained()
        run = self.load()
        pictures = [kind for kind in run.task.inputs.values() if isinstance(kind, Image)]
        return Pretrained(
            tokenizer=self.folder if any(self.folder.glob(TOKENIZERS)) else None,
            length=run.fitted.context or own.length,
            segments=own.segments,
            image=(pictures[0].height, pictures[0].width) if pictures else own.image,
            scales=scales_of(run.task.processor),
        )

    def load(self) -> Predictor:
        """Open the run; the random numbers of training stay as they were."""
        with torch.random.fork_rng(devices=[]):
            return Predictor.load(self.folder)

    def initialise(self, training: Training) -> None:
        """Copy the weights of the run's backbone into the model, which reads by its tokenizer.

        Those of its head are copied as well if the task keeps them.

        Raises:
            RunError: If they do not fit.
        """
        files = dict[str, str]()
        to_json(training.task, files)
        theirs = {path.read_text(encoding="utf-8") for path in self.folder.glob(TOKENIZERS)}
        if not theirs <= set(files.values()):
            raise RunError(
                f"--init-from {self.given}: its vocabulary cannot be taken over by this task, so "
                "the vectors of its tokens would stand for others; train from new weights."
            )
        run, own = self.load(), training.model.backbone.state_dict()
        weights = dict(run.model.backbone.state_dict())
        if all(self.options.starts_new(name) for name in own.keys() ^ weights.keys()):
            weights = {name: weights.get(name, tensor) for name, tensor in own.items()}
        try:
            training.model.backbone.load_state_dict(weights)
        except RuntimeError as error:
            raise RunError(
                f"--init-from {self.given}: its backbone is not of the same shape; give the same "
                f"model options, as --model {self.backbone}:init_from={self.given} does, and data "
                "with the same vocabulary."
            ) from error
        if training.task.keeps_head and type(run.task) is type(training.task):
            load_head(training.model.head, run.model.head.state_dict())


def scales_of(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return how a processor scales columns of numbers, by which a backbone learned its weights."""
    return (processor.mean, processor.deviation) if isinstance(processor, Scaled) else None


def run_config(folder: Path) -> Mapping[str, Any]:
    """Return our part of the ``config.json`` of a run.

    Raises:
        RunError: If it is not one that a run has.
    """
    config = read_json(folder / CONFIG)
    if not (isinstance(config, dict) and isinstance(config.get(OURS), dict)):
        raise RunError(f"{folder / CONFIG} is not what a run of this version writes.")
    mine: Mapping[str, Any] = config[OURS]
    return mine


def run_task(folder: Path) -> str:
    """Return the name of the task that a run was trained for.

    Raises:
        RunError: If its file is not one that a run has.
    """
    described = read_json(folder / TASK)
    if not (isinstance(described, dict) and isinstance(described.get("task"), str)):
        raise RunError(f"{folder / TASK} is not what a run of this version writes.")
    name: str = described["task"]
    return name


def checkpoint_fingerprint(folder: Path) -> str:
    """Return what tells the weights of a published checkpoint from all others."""
    parts = [file_hash(path) for path in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's content; that of a file that did not change is remembered.

    Raises:
        RunError: If it cannot be read.
    """
    try:
        found = path.stat()
        return _hash(path.absolute(), (found.st_ino, found.st_mtime_ns, found.st_size))
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}).") from error


@lru_cache(maxsize=64)
def _hash(path: Path, version: tuple[int, int, int]) -> str:
    """Return the hash of a version of a file, read piece by piece.

    Args:
        path: Absolute.
        version: Its inode, when it was changed, and its size: a file that is replaced has others.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def initialise_published(training: Training, options: BackboneOptions) -> None:
    """Copy the weights of a published checkpoint into a model that was built from its options.

    The head takes part where the checkpoint has the same one.

    Raises:
        RunError: If the weights of the backbone do not fit.
    """
    new = [part for part in load_weights(training.model, options) if part != "head"]
    if new:
        parts = ", ".join(new)
        training.say(f"checkpoint   it has no weights for {parts}, which starts from new ones")
