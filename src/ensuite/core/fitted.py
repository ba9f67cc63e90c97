"""A fitted model: whatever predicts, be it a network, a baseline or a prompted language model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import BackboneOptions
from ensuite.core.batch import Batch
from ensuite.core.errors import UsageError

WEIGHTS = "model.safetensors"
"""The file of a run folder that holds the tensors of a fitted model."""


class FittedModel(ABC):
    """What predicts, with all that it has learned. It holds no task: each call is given one.

    Attributes:
        kind: The name of the kind of model in a run's ``config.json``.
    """

    kind: ClassVar[str]

    @abstractmethod
    def predict(self, task: Any, examples: Sequence[Any]) -> list[Any]:
        """Return one prediction for each example, in order."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """The number of learned parameters."""

    @abstractmethod
    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tensors into a run folder, and return the rest as ``config.json`` holds it.

        :func:`ensuite.loaders.load_fitted` reads both again.
        """

    def published_config(self) -> Mapping[str, Any]:
        """Return what other programs expect in ``config.json``, beside ours."""
        return {}

    def to(self, device: str) -> Self:
        """Move the tensors to a device, where they are of torch, and return the model."""
        return self

    # What only some models offer

    def to_int8(self) -> Self:
        """Round the weights to int8 in place, and return the model, which can no longer be saved.

        Raises:
            UsageError: If the model has none that can be.
        """
        raise UsageError(f"A {self.kind} model has no int8 weights; leave int8 out.")

    @property
    def module(self) -> Any:
        """The ``torch.nn.Module`` of a network; the model itself where it is not one."""
        return self

    @property
    def backbone_options(self) -> BackboneOptions | None:
        """Options of the network's backbone; None where there is none."""
        return None

    @property
    def context(self) -> int | None:
        """How many positions can be read at most; None: any number."""
        return None

    @property
    def language_model(self) -> Any:
        """The language model that continues texts: :class:`~ensuite.decoding.interfaces.Steps`."""
        raise UsageError(f"A {self.kind} model cannot continue texts.")

    def decode(self, task: Any, codes: NDArray[Any], batch: Batch) -> NDArray[Any]:
        """Return what codes are decoded to, in numbers and in the shape of the inputs.

        Args:
            task: Prepared; it encodes and reconstructs.
            codes: (rows, code).
            batch: As many rows, of the shape of the inputs; their numbers are not looked at.

        Raises:
            UsageError: If the model has no codes.
        """
        raise UsageError(f"A {self.kind} model has no codes; choose an autoencoder, or PCA.")

    def draw(self, count: int, seed: int) -> NDArray[Any]:
        """Draw codes from the prior, (count, code).

        Raises:
            UsageError: If the codes of the model have no distribution.
        """
        raise UsageError(
            f"A {self.kind} model has no distribution to draw from; choose a run of a vae."
        )

    @property
    def embedder(self) -> "FittedModel":
        """The same model with the vector of each input as its output.

        Raises:
            UsageError: If it has no such vectors.
        """
        raise UsageError(f"A {self.kind} has no states to embed with; choose a trained network.")

    def embed(self, task: Any, example: Any, *, pool: bool) -> Tensor:
        """Return the states of one example, (1, length, width); pooled into one, (1, width).

        Raises:
            UsageError: If the model has no states, or none for each position.
        """
        raise UsageError(f"A {self.kind} has no states to embed with; choose a trained network.")
