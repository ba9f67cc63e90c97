"""Denoise: give back what an input was before noise came to it."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.backbone import BackboneOptions, Codes, Pretrained
from ensuite.core.batch import Batch
from ensuite.core.display import Display
from ensuite.core.errors import DataError
from ensuite.core.keys import Keys
from ensuite.core.model import Model
from ensuite.core.presentation import Figure, Finding
from ensuite.core.score import Numbers, Score, ratio
from ensuite.core.stacked import column, stack
from ensuite.core.table import Table
from ensuite.data import columns, inputs
from ensuite.data.processors import Image, Window
from ensuite.data.processors.numbers import Scaled, extremes
from ensuite.metrics import restoration as metrics
from ensuite.nn.corrupt import Noise, corrupt
from ensuite.tasks import denoise_figures
from ensuite.tasks.reconstruction import Reconstruction

CLEAN_NAMES = ("clean", "clean_image", "original")

ASKED = -1
"""Seed of an input that gets no noise: it has some already, or is to be answered as it is."""

Array = NDArray[Any]


class Example(NamedTuple):
    """What is to be cleaned, and the clean original.

    Without an input, noise is added to the original. Without an original, the input is asked about.
    """

    input: Any
    clean: Any = None


class Item(NamedTuple):
    """A row of a batch."""

    window: Window  # what is read; clean, where there is a seed
    clean: Window  # what should come out
    seed: int  # of the noise that is added in evaluation; ASKED for none


class Piece(NamedTuple):
    """What a model computes for one row, in numbers as the backbone has them."""

    values: NDArray[np.float32]
    code: NDArray[np.float64] | None = None  # of the input
    clean_code: NDArray[np.float64] | None = None  # of the original


@dataclass(frozen=True, eq=False)
class Prediction:
    """A cleaned input.

    Args:
        values: In the units and the shape of the input; pictures (height, width, channels).
        code: The code of the input; None of a method without codes.
        clean_code: The code of the original, where that is known.
    """

    values: Array
    code: Array | None = None
    clean_code: Array | None = None

    def __eq__(self, other: object) -> bool:
        """Compare number by number."""
        if not isinstance(other, Prediction):
            return NotImplemented
        return np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class Denoise(Reconstruction[Example, Prediction]):
    """Clean rows, images or series of numbers.

    Noise is added to clean data: in training anew each time, in evaluation the same to an example
    whenever it is scored. Or the file has pairs of noisy and clean inputs. What a trained run is
    asked about is cleaned as it is.

    Args:
        noise: gaussian adds normal noise; salt-and-pepper replaces numbers by the smallest or the
            largest one (of rows and series, three deviations from the mean); masking replaces them
            by 0 (of rows and series, the mean); sensors does so with whole columns.
        strength: Standard deviation of gaussian noise: in deviations of each column, of images in
            shares of the range from black to white. Of the others the share of the numbers, or
            columns, that are replaced.
        noisy_training: Whether training adds noise. false: a plain autoencoder is trained, which
            evaluation gives noisy inputs all the same.
        peak: Range of the clean training numbers, as networks read them; 1 of images.

    Source:
        Vincent et al. (2008), https://doi.org/10.1145/1390156.1390294
    """

    noise: Noise = "gaussian"
    strength: float = 0.3
    noisy_training: bool = True
    peak: float = field(default=1.0, metadata={"learned": True})

    roles: ClassVar[tuple[str, ...]] = ("image", "series", "clean")

    def __post_init__(self) -> None:
        if not self.strength > 0 or (self.noise != "gaussian" and self.strength >= 1):
            raise ValueError(
                "strength must be more than 0, and less than 1 where it is a share of the numbers"
            )

    # Data

    def read(
        self, table: Table, given: Mapping[str, str], *, asking: bool = False
    ) -> tuple[Self, list[Example]]:
        names = columns.find_all(table, "clean", CLEAN_NAMES, given)
        roles = {role: name for role, name in given.items() if role != "clean"}
        if not names or asking:
            task, raws = self.read_inputs(table, roles, names)
            return task._sound(), [Example(raw) if asking else Example(None, raw) for raw in raws]
        task, raws = self.read_inputs(table, roles, names)
        beside = replace(table, columns={name: table.columns[name] for name in names})
        unnamed = (
            replace(task.processor, names=()) if isinstance(task.processor, Scaled) else
            task.processor
        )  # fmt: skip
        kind = task.processor.kind
        given_clean = {"image": names[0]} if kind == "image" else {}
        clean, _ = inputs.read(beside, given_clean, kind, unnamed, but=())
        for row, pair in enumerate(zip(raws, clean, strict=True)):
            if kind != "image" and np.shape(pair[0]) != np.shape(pair[1]):
                raise DataError(
                    f"{table.where(row)}: the noisy input has the shape {np.shape(pair[0])}, the "
                    f"clean one {np.shape(pair[1])}; give both the same columns."
                )
        return task._sound(), [Example(*pair) for pair in zip(raws, clean, strict=True)]

    def _sound(self) -> Self:
        """Refuse noise that the kind of input cannot have."""
        if self.noise == "sensors" and self.processor.kind == "image":
            raise DataError("noise=sensors drops columns, and images have none; choose another.")
        return self

    def ask(self, raw: Any) -> Example:
        return raw if isinstance(raw, Example) else Example(inputs.ask(raw, self.processor))

    def raw(self, example: Example) -> Any:
        """Return the input; where noise is added to it, as it is before."""
        return example.clean if example.input is None else example.input

    def clean_of(self, example: Example) -> Any:
        """Return the original; of an input that is asked about, the input."""
        return example.input if example.clean is None else example.clean

    def keys(self, example: Example) -> Keys:
        return Keys(self.processor.key(self.raw(example)))

    def prepare(
        self,
        examples: Sequence[Example],
        options: BackboneOptions | None = None,
        pretrained: Pretrained | None = None,
    ) -> Self:
        prepared = super().prepare(examples, options, pretrained)
        if not isinstance(prepared.processor, Scaled):
            return replace(prepared, peak=1.0)
        low, spread = extremes([self.clean_of(example) for example in examples])
        scaled = prepared.processor.normalise(np.stack([low, low + spread]))
        return replace(prepared, peak=float(scaled.max() - scaled.min()))

    def items(self, examples: Sequence[Example], *, asking: bool = False) -> Sequence[Any]:
        read = [window for (window,) in self.processor.windows(self.raws(examples))]
        paired = [e.input is not None and e.clean is not None for e in examples]
        originals = [e.clean for e, each in zip(examples, paired, strict=True) if each]
        others = iter(self.processor.windows(originals) if originals else ())
        clean = [
            next(others)[0] if each else window for window, each in zip(read, paired, strict=True)
        ]
        seeds = [
            ASKED if example.input is not None else seed_of(window)
            for example, window in zip(examples, read, strict=True)
        ]
        return stack([Item(*row) for row in zip(read, clean, seeds, strict=True)])

    def collate(self, items: Sequence[Any], generator: torch.Generator | None = None) -> Batch:
        batch = self.processor.collate(column(items, "window"))
        values = batch.inputs[self.field_name]
        seeds = [int(seed) for seed in column(items, "seed")]
        clean = values  # what has a seed is clean before noise comes to it
        if ASKED in seeds:
            clean = self.processor.collate(column(items, "clean")).inputs[self.field_name]
        noisy = self.add_noise(values, seeds, generator, batch.mask)
        if batch.mask is not None:
            noisy = noisy.masked_fill(~batch.mask[..., None], 0.0)
        batch = replace(batch, inputs={**batch.inputs, self.field_name: noisy})
        return self.with_targets(batch, clean)

    def add_noise(
        self,
        values: Tensor,
        seeds: Sequence[int],
        generator: torch.Generator | None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return values with noise in the rows that have a seed.

        Args:
            values: (batch, ...), as the processor made them.
            seeds: Of each row; ``ASKED`` for none.
            generator: What training draws from; None: each row draws from its own seed.
            mask: (batch, time), True at real steps of series; None of inputs without time.
        """
        rows = [row for row, seed in enumerate(seeds) if seed != ASKED]
        if not rows or (generator is not None and not self.noisy_training):
            return values
        bounds = (0.0, 1.0) if isinstance(self.processor, Image) else None
        noisy = values.clone()
        if generator is not None:
            noisy[rows] = corrupt(values[rows], self.noise, self.strength, generator, bounds=bounds)
            return noisy
        for row in rows:
            own = torch.Generator().manual_seed(seeds[row])
            # Without padding: what is drawn first depends on how much is drawn.
            real = slice(None) if mask is None else mask[row]
            one = values[row, real][None]
            noisy[row, real] = corrupt(one, self.noise, self.strength, own, bounds=bounds)[0]
        return noisy

    # Model

    def predict(self, model: Model, batch: Batch) -> list[Piece]:
        """Return what comes out for each row, and the codes of the noisy and the clean input."""
        pieces = self.pieces(model(batch), batch)
        original = replace(
            batch, inputs={**batch.inputs, self.field_name: batch.targets[self.field_name]}
        )
        codes = cast(Codes, model.backbone).encode(original).cpu().double().numpy()
        return [Piece(p.values, p.code, code) for p, code in zip(pieces, codes, strict=True)]

    def merge(
        self, examples: Sequence[Example], items: Sequence[Any], pieces: Sequence[Piece]
    ) -> list[Prediction]:
        return [
            Prediction(self.restore(piece.values), piece.code, piece.clean_code) for piece in pieces
        ]

    # Judgement

    def score(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> dict[str, Score]:
        """Judge by the distance to the original, in numbers as networks read them."""
        cleaned = [self.scaled(prediction.values) for prediction in predictions]
        truths = [self.scaled(self.original(example)) for example in examples]
        found = {
            "mse": metrics.mean_squared_error(cleaned, truths),
            "psnr": metrics.peak_signal_to_noise(cleaned, truths, self.peak),
        }
        if isinstance(self.processor, Image):
            found["ssim"] = metrics.structural_similarity(cleaned, truths, self.peak)
        return found | {"code_shift": code_shift(predictions)}

    def original(self, example: Example) -> Array:
        """Return the original of an example as an array, pictures (height, width, channels)."""
        ((window,),) = self.processor.windows([self.clean_of(example)])
        array = np.asarray(window, dtype=float)
        return array.reshape(self.processor.shape) if isinstance(self.processor, Image) else array

    def scaled(self, values: Array) -> Array:
        """Return numbers in the units of the input as networks read them."""
        if isinstance(self.processor, Image):
            low, high = self.processor.smallest, self.processor.largest
            return (np.asarray(values, float) - low) / (high - low)
        return self.processor.normalise(values).astype(float)

    def noisy(self, examples: Sequence[Example]) -> list[Array]:
        """Return what a model is given for each example, in the units of the input."""
        items = self.items(examples, asking=True)
        batch = self.collate(items)
        values = batch.inputs[self.field_name].numpy()
        if batch.mask is None:
            return [self.restore(each) for each in values]
        pairs = zip(values, batch.mask.numpy(), strict=True)
        return [self.restore(each[real]) for each, real in pairs]

    # Presentation

    def describe(self, prediction: Prediction) -> tuple[str, float | None]:
        if isinstance(self.processor, Image):
            return "a cleaned picture", None
        return self.processor.show(prediction.values), None

    def records(self, example: Example, prediction: Prediction) -> list[dict[str, Any]]:
        """Return the cleaned numbers: of a row by column, else as a list."""
        values = prediction.values
        if values.ndim == 1 and isinstance(self.processor, Scaled) and self.processor.names:
            return [dict(zip(self.processor.names, values.tolist(), strict=True))]
        return [{"answer": values.tolist()}]

    def error(self, prediction: Prediction, example: Example) -> float:
        """Return the mean squared distance to the original, of scaled numbers."""
        if example.clean is None:
            return 0.0
        away = self.scaled(prediction.values) - self.scaled(self.original(example))
        return float(np.square(away).mean())

    def check(self, parts: Mapping[str, Sequence[Example]]) -> list[Finding]:
        paired = any(example.input is not None for example in parts["train"])
        share = self.strength if self.noise == "gaussian" else f"{100 * self.strength:g} %"
        sentence = (
            "pairs of noisy and clean inputs"
            if paired
            else f"{self.noise}, {share}; drawn anew in training, the same in every evaluation"
        )
        return [*super().check(parts), Finding("noise", sentence)]

    def figures(
        self, predictions: Sequence[Prediction], examples: Sequence[Example]
    ) -> list[Figure]:
        return denoise_figures.before_and_after(self, predictions, examples)


def seed_of(window: Window) -> int:
    """Return the seed of the noise of an input, which depends on the input alone."""
    return zlib.crc32(np.ascontiguousarray(window).tobytes())


def code_shift(predictions: Sequence[Prediction]) -> Score:
    """Return how far codes move when noise comes to the input, relative to their spread.

    It is the root mean squared distance between the codes of the noisy and the clean input, divided
    by that of the clean codes from their mean; NaN of a method without codes.
    """
    known = [each for each in predictions if each.code is not None and each.clean_code is not None]
    display = Display(name="code shift")
    if len(known) < len(predictions) or not known:
        nothing = np.zeros((len(predictions), 2))
        return Score(nothing, lambda s: ratio(s[..., 0], s[..., 1]), False, display)
    noisy = np.array([each.code for each in known], dtype=float)
    clean = np.array([each.clean_code for each in known], dtype=float)
    moved, size = np.square(noisy - clean).sum(1), np.square(clean).sum(1)
    statistics = np.column_stack([moved, size, np.ones(len(known)), clean])

    def relative(sums: Numbers) -> Numbers:
        away, squares, count = sums[..., 0], sums[..., 1], sums[..., 2]
        spread = squares - ratio(np.square(sums[..., 3:]).sum(-1), count)
        return np.sqrt(ratio(away, np.maximum(spread, 0.0)))

    return Score(statistics, relative, False, display)
