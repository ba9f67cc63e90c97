"""A fitted model and its task: predict, evaluate, save, load."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import TypeVar

from ensuite import catalog, problem
from ensuite.checkpoint import EMBED, OURS, TASK, is_checkpoint, is_published, open_checkpoint
from ensuite.core.backbone import BackboneOptions
from ensuite.core.errors import EnsuiteError, RunError, UsageError, nearest
from ensuite.core.files import read_json, write_json, write_text
from ensuite.core.fitted import WEIGHTS, FittedModel
from ensuite.core.options import from_json, set_options, to_json
from ensuite.core.printable import one_line as printable
from ensuite.core.runs import CONFIG, find_run
from ensuite.core.seed import require_seed
from ensuite.core.table import Table
from ensuite.core.task import Task
from ensuite.data.processors import Processor
from ensuite.data.sound import check_typed
from ensuite.decoding.sampling import Sampling
from ensuite.loaders import load_fitted
from ensuite.tasks.embed import Embed
from ensuite.tasks.generate import Generate
from ensuite.tasks.reduce import Reduce
from ensuite.tasks.reduce_walks import Walk, interpolation, traversal
from ensuite.tasks.text_generator import Completion, Prompt, TextGenerator

RUN = "run.json"

TOKENIZERS = "*tokenizer.json"
"""The tokenizers of a run folder, which its task keeps beside ``task.json``."""

TEMPLATES = "*template.jinja"
"""The chat template of a run folder, kept in the same way."""

__all__ = [
    "CONFIG",
    "OURS",
    "RUN",
    "TASK",
    "TOKENIZERS",
    "WEIGHTS",
    "Predictor",
    "Stretch",
    "find_run",
]


Prediction = TypeVar("Prediction", default=Any)

MOST_ANSWERS = 6
"""Possible answers that the text of a predictor names."""


class Stretch(NamedTuple):
    """The metrics of the examples whose lengths lie within a range."""

    shortest: int
    longest: int
    rows: int
    metrics: dict[str, float]


@dataclass(frozen=True, repr=False)
class Predictor(Generic[Prediction]):
    """A fitted model with the task that it does.

    Its type names that of its predictions where it is known: ``Predictor[classify.Prediction]``.

    Args:
        name: Its name in a table.
        task_name: The task's name in the catalog.
        task: Prepared and calibrated.
        fitted: A network, a baseline or a prompted language model.
        folder: Where it was loaded from.
        unread: Why it answers nothing though it embeds: a published checkpoint may have a head
            that is not computed here. Else empty.
    """

    name: str
    task_name: str
    task: Task[Any, Any, Prediction]
    fitted: FittedModel
    folder: Path | None = None
    unread: str = ""

    def __repr__(self) -> str:
        """Describe the predictor in three lines: what it does, how large it is, where it is."""
        answers = list(map(printable, self.task.choices[:MOST_ANSWERS]))
        if len(self.task.choices) > MOST_ANSWERS:
            answers.append(f"... ({len(self.task.choices):,} in all)")
        return "\n".join(
            (
                f"Predictor: {self.name}, trained to {self.task_name} ({self.task.unit})",
                shorten(
                    f"  {self.parameters:,} parameters"
                    + (f"; answers: {', '.join(answers)}" if answers else "")
                ),
                f"  {self.folder or 'not saved'}",
            )
        )

    @property
    def model(self) -> Any:
        """The ``torch.nn.Module`` of a network; the fitted model itself where it is no network."""
        return self.fitted.module

    @property
    def options(self) -> BackboneOptions | None:
        """Options of the network's backbone; None where there is none."""
        return self.fitted.backbone_options

    def predict(self, inputs: Iterable[Any]) -> list[Prediction]:
        """Predict for raw inputs (texts, arrays, mappings of fields) or examples, in order."""
        # One text is not a list of its letters, nor a mapping of its names.
        inputs = [inputs] if isinstance(inputs, str | Mapping) else list(inputs)
        for raw in inputs:
            check_typed(raw)
        return self.predict_examples([self.task.ask(raw) for raw in inputs])

    def predict_examples(self, examples: Sequence[Any]) -> list[Prediction]:
        """Return one prediction for each example, in order.

        Raises:
            UsageError: If it is a checkpoint whose head is not computed here.
        """
        if self.unread:
            raise UsageError(self.unread)
        return self.fitted.predict(self.task, examples) if examples else []

    def read(
        self, data: Any, given: Mapping[str, str] | None = None, *, asking: bool
    ) -> Sequence[Any]:
        """Make examples of a file, or of data in memory, as the task's own training data was read.

        If the data has parts of its own, the test part is read.

        Raises:
            DataError: If they are not of the kind the model was trained on, or a label is unknown.
        """
        return self.read_table(
            problem.open_part(data, given or {}, asking=asking), given, asking=asking
        )

    def read_table(
        self, table: Table, given: Mapping[str, str] | None = None, *, asking: bool
    ) -> Sequence[Any]:
        """Make examples of a table, as :func:`ensuite.problem.open_part` opens it."""
        _, examples = self.task.read(*problem.settle(self.task, table, given or {}), asking=asking)
        if not asking:
            problem.verify(self.task, examples, "given", table)
        return examples

    def evaluate(self, data: Any, given: Mapping[str, str] | None = None) -> dict[str, float]:
        """Return every metric on labelled data; the first is the one that ranks."""
        examples = self.read(data, given, asking=False)
        scores = self.task.score(self.predict_examples(examples), examples)
        return {name: score.value for name, score in scores.items()}

    def evaluate_by_length(self, examples: Sequence[Any], parts: int) -> list["Stretch"]:
        """Return every metric for groups of examples of similar length, the shortest first.

        Args:
            examples: Labelled.
            parts: The number of groups of about equal size; examples of one length stay together.
        """
        scores = self.task.score(self.predict_examples(examples), examples)
        lengths = np.array([self.task.extent(example) for example in examples])
        bounds = np.unique(np.quantile(lengths, np.linspace(0, 1, parts + 1)[1:], method="higher"))
        places = np.searchsorted(bounds, lengths)
        return [
            Stretch(
                int(lengths[places == part].min()),
                int(lengths[places == part].max()),
                int((places == part).sum()),
                {
                    n: float(s.function(s.statistics[places == part].sum(0)))
                    for n, s in scores.items()
                },
            )
            for part in np.unique(places)
        ]

    def embed(self, raw: Any, *, pool: bool = False) -> Tensor:
        """Return the states of one input, (1, length, width); pooled into one, (1, width).

        Of a list of texts or pairs of texts, each is pooled: (texts, width). A published checkpoint
        embeds as it was published, whatever head it has.

        Raises:
            UsageError: If the model has no states (a baseline), or none for each position, or
                several texts are not to be pooled.
        """
        check_typed(raw)
        if isinstance(raw, list | np.ndarray) and self.reads_texts:
            if not pool:
                raise UsageError(
                    f"{len(raw):,} texts have states of different lengths; ask for pool=True, or "
                    "give one text."
                )
            vectors = np.array(self.embedder().predict(raw), dtype=np.float32)
            return torch.from_numpy(vectors.reshape(len(raw), self.model.backbone.width))
        if self.encoder is not None:
            return self.encoder.embed(raw, pool=pool)
        return self.fitted.embed(self.task, self.task.ask(raw), pool=pool)

    @property
    def reads_texts(self) -> bool:
        """Whether an input is a text, or a pair of texts, and not a list of words."""
        processor = (self.encoder or self).task.processor
        return isinstance(processor, Processor) and processor.kind == "text"

    def transform(self, inputs: Sequence[Any]) -> NDArray[np.float64]:
        """Return the codes of inputs, (inputs, code), as an autoencoder or PCA has learned them.

        Raises:
            UsageError: If the model was trained for another task than ``reduce``.
        """
        found: list[Any] = self._reduced("codes").predict(inputs)
        return np.array([prediction.code for prediction in found])

    def inverse_transform(
        self, codes: Sequence[Any] | NDArray[Any], *, label: str | None = None
    ) -> NDArray[np.float64]:
        """Return what codes are decoded to, in the units and the shape of the inputs.

        Series are decoded as long as the longest of the training part.

        Args:
            codes: (rows, code).
            label: That the decoder is told, where it was trained with labels.

        Raises:
            UsageError: If the model was trained for another task, or its codes have another size.
        """
        self._reduced("codes")
        rows = np.asarray(codes, dtype=float)
        if rows.ndim != 2:
            raise UsageError(f"Codes have the shape (rows, code), and these {rows.shape}.")
        task: Any = self.task
        values = self.fitted.decode(task, rows, task.blank(len(rows), label))
        restored: NDArray[np.float64] = task.restore(values)
        return restored

    def sample(
        self, count: int = 16, *, seed: int = 0, label: str | None = None
    ) -> NDArray[np.float64]:
        """Draw new inputs from a variational autoencoder, in the units of those it learned from.

        Args:
            count: How many.
            seed: Of the draw.
            label: That the decoder is told, where it was trained with labels.

        Raises:
            UsageError: If the model has no distribution to draw from.
        """
        require_seed(seed)
        if count < 1:
            raise UsageError(f"{count} inputs cannot be drawn; give 1 or more.")
        self._reduced("distribution to draw from")
        return self.inverse_transform(self.fitted.draw(count, seed), label=label)

    def walk(
        self, along: Walk, paths: int = 4, *, seed: int = 0, label: str | None = None
    ) -> NDArray[np.float64]:
        """Decode codes along paths through the latent space; return (paths, steps, ...).

        Args:
            along: ``traversal`` moves one unit of the code at a time, from -2 to 2, the others
                being 0; ``interpolation`` goes from one drawn code to another.
            paths: Number of interpolations; there is always one traversal for each unit.
            seed: Of the drawn codes.
            label: That the decoder is told, where it was trained with labels.

        Raises:
            UsageError: If the model has no distribution to draw from.
        """
        require_seed(seed)
        if paths < 1:
            raise UsageError(f"paths={paths}: give 1 or more.")
        self._reduced("distribution to draw from")
        ends = self.fitted.draw(2 * paths, seed)
        codes = traversal(ends.shape[1]) if along == "traversal" else interpolation(ends)
        flat = self.inverse_transform(codes.reshape(-1, codes.shape[-1]), label=label)
        return flat.reshape(*codes.shape[:2], *flat.shape[1:])

    def _reduced(self, wanted: str) -> Self:
        """Return itself if it was trained to reduce.

        Raises:
            UsageError: If not.
        """
        if not isinstance(self.task, Reduce):
            raise UsageError(
                f"{self.name} was trained to {self.task_name} and has no {wanted}; "
                "`ensuite train reduce` makes a model that has."
            )
        return self

    @cached_property
    def encoder(self) -> Self | None:
        """A published checkpoint without its head; None where it is opened without one.

        So is a run of a published family whose task reads no single texts, such as a pretrained
        BERT. Other runs embed as they were trained to.
        """
        if self.folder is None or self.task_name == EMBED or not is_published(self.folder):
            return None
        if isinstance(self.task.processor, Processor) and not is_checkpoint(self.folder):
            return None
        device = str(next(self.model.parameters()).device)
        opened = open_checkpoint(self.folder, head=False)
        return replace(self, task_name=EMBED, task=opened.task, fitted=opened.network.to(device))

    def embedder(self) -> "Predictor[Any]":
        """Return a predictor of the same network whose answers are the vectors of inputs.

        Its ``predict`` embeds many inputs in batches.

        Raises:
            UsageError: If the model has no such vectors.
        """
        if self.encoder is not None:
            return self.encoder
        if self.task_name == EMBED:
            return replace(self, unread="")
        if not isinstance(self.task.processor, Processor):
            raise UsageError(f"{self.name} was trained to {self.task_name}, which embeds nothing.")
        task: Any = Embed(processor=self.task.processor)
        return replace(self, task_name=EMBED, task=task, fitted=self.fitted.embedder)

    def generate(self, prompt: Prompt = "", **options: Any) -> str:
        """Return a continuation of a prompt by a language model, without the prompt.

        Args:
            prompt: The text to continue, empty for the beginning of a text; or its tokens.
            options: As in :class:`~ensuite.decoding.sampling.Sampling`: ``temperature``,
                ``top_k``, ``top_p``, ``min_p``, ``repetition_penalty``, ``frequency_penalty``,
                ``max_new_tokens``, ``stop``, ``beam``, ``seed``, ``regex``, ``json_schema`` and
                ``slide``.

        Raises:
            UsageError: If the task is another, an option has no such value, or the prompt cannot
                be read.
        """
        return "".join(self.stream(prompt, **options))

    def complete(self, prompt: Prompt = "", *, count: int = 1, **options: Any) -> list[Completion]:
        """Return several continuations of a prompt, each with its tokens and their probabilities.

        Args:
            prompt: As for :meth:`generate`.
            count: How many. The first has the seed that is given, each other the next.
            options: As for :meth:`generate`.

        Raises:
            UsageError: As :meth:`generate` does.
        """
        if not isinstance(count, int) or count < 1:
            raise UsageError(f"count is {count!r}; give 1 or more.")
        generator, sampling = self._generator(options, [prompt]), Sampling(**options)
        if count > 1 and sampling.beam is not None:
            raise UsageError(
                f"count is {count}; a beam search finds one text: leave one of them out."
            )
        require_seed(sampling.seed + count - 1)
        seeds = range(sampling.seed, sampling.seed + count)
        return generator.complete([prompt] * count, sampling, seeds)

    def stream(
        self, prompt: Prompt = "", *, say: Callable[[str], object] | None = None, **options: Any
    ) -> Iterator[str]:
        """Yield the text that ``generate`` returns piece by piece, as it is written."""
        return (piece for _, piece in self.write([prompt], say=say, **options))

    def write(
        self,
        prompts: Sequence[Prompt],
        *,
        say: Callable[[str], object] | None = None,
        **options: Any,
    ) -> Iterator[tuple[int, str]]:
        """Continue several prompts at once; yield (number of the prompt, piece of its text).

        The continuation of a prompt does not depend on the other prompts.

        Args:
            prompts: The texts to continue, or their tokens.
            say: Called with a sentence after texts that are longer than the model reads at once.
            options: As for :meth:`generate`.
        """
        generator, sampling = self._generator(options, prompts), Sampling(**options)
        require_seed(sampling.seed)
        return generator.stream(prompts, sampling, say)

    def _generator(self, options: Mapping[str, Any], prompts: Sequence[Prompt]) -> TextGenerator:
        """Return what continues these prompts with these options.

        Raises:
            UsageError: If the task is another, or there is no such option.
        """
        task = self.language
        known = [each.name for each in fields(Sampling)]
        if unknown := sorted(options.keys() - set(known)):
            hint = nearest(unknown[0], known) or "."
            raise UsageError(
                f"generate has no option {unknown[0]}{hint} It has: {', '.join(known)}."
            )
        check_typed(list(prompts))
        return task.generator(self.fitted.language_model, self.fitted.context)

    def chat(self, messages: Sequence[Mapping[str, str]], **options: Any) -> str:
        """Return the assistant's answer to the last message of a conversation.

        Args:
            messages: Such as ``[{"role": "user", "content": "Hello"}]``. A system message may come
                first; then user and assistant take turns, and the user is the last.
            options: As for :meth:`generate`.

        Raises:
            DataError: If the roles are not in order.
            UsageError: If the model has no chat template, or an option has no such value.
        """
        check_typed(list(messages))
        prompt, stops = self.language.converse(messages)
        more = options.pop("stop", ())
        stops = (*stops, *([more] if isinstance(more, str) else more))
        return self.generate(prompt, stop=stops, **options).strip()

    @property
    def language(self) -> Generate:
        """The task, where it is to continue texts.

        Raises:
            UsageError: If it is another.
        """
        if not isinstance(self.task, Generate):
            raise UsageError(
                f"{self.name} was trained to {self.task_name}, not to continue texts; "
                "`ensuite train generate` makes a model that does."
            )
        return self.task

    @property
    def parameters(self) -> int:
        """The number of learned parameters."""
        return self.fitted.parameters

    def to_int8(self) -> Self:
        """Round the weights to int8 in place, and return the predictor.

        It decodes faster on a CPU, and can no longer be saved.

        Raises:
            UsageError: If its model has no int8 weights, or numba is not installed.
        """
        return replace(self, fitted=self.fitted.to_int8())

    def with_settings(self, settings: Mapping[str, str]) -> Self:
        """Return a copy with options of the task changed, where they may change after training."""
        return replace(self, task=set_options(self.task, settings, f"the task {self.task_name}"))

    def save(self, path: str | Path) -> Path:
        """Write the run folder: weights, configuration, task and tokenizer, without pickle.

        Raises:
            UsageError: If it is a published checkpoint without a head, which is no run.
        """
        if self.task_name not in catalog.tasks:
            raise UsageError(f"{self.name} has no task to be saved with; copy its folder instead.")
        folder, files = Path(path), dict[str, str]()
        task = to_json(self.task, files)
        saved = self.fitted.save(folder)
        for name, text in files.items():
            write_text(folder / name, text)
        write_json(folder / TASK, {"task": self.task_name, "options": task})
        mine = {"name": self.name, "kind": self.fitted.kind, **saved}
        published = self.fitted.published_config()
        write_json(folder / CONFIG, {**published, OURS: mine})
        if "model_type" in published:
            for name, text in self.task.tokenizer_files().items():
                write_text(folder / name, text)
        return folder

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """Open a run folder, the folder of a comparison (then its winner), or a checkpoint.

        Raises:
            RunError: If a file is missing, is damaged, or is not of a run.
        """
        folder = find_run(Path(path))
        if is_checkpoint(folder):
            name, task, network, unread = open_checkpoint(folder)
            return cls(str(path), name, task, network.to(device), folder, unread)
        config, described = read_json(folder / CONFIG), read_json(folder / TASK)
        beside = (*folder.glob(TOKENIZERS), *folder.glob(TEMPLATES))
        try:
            files = {path.name: path.read_text(encoding="utf-8") for path in beside}
            config, name = config[OURS], described["task"]
            task = from_json(type(problem.find_task(name)), described["options"], files)
            fitted = load_fitted(folder, config, name, task)
            return cls(config["name"], name, task, fitted.to(device), folder)
        except EnsuiteError as error:
            if str(folder) in str(error):  # it names the file already
                raise
            raise RunError(f"{folder} cannot be opened: {error}") from error
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            why = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise RunError(f"{folder} is not a whole run of this version ({why}).") from error


def shorten(line: str, width: int = 100) -> str:
    """Return a line, cut to a width.

    >>> shorten("a film to remember", 10)
    'a film ...'
    """
    return line if len(line) <= width else f"{line[: width - 3]}..."
