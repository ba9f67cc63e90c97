"""A trained model and its task: predict, evaluate, save, load."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
import torch
from torch import Tensor

from ensuite import problem
from ensuite.core.backbone import BackboneOptions, Trait
from ensuite.core.baseline import Baseline
from ensuite.core.errors import EnsuiteError, RunError, UsageError
from ensuite.core.files import read_json, read_tensors, write_json, write_tensors, write_text
from ensuite.core.model import Model
from ensuite.core.options import from_json, set_options, to_json
from ensuite.core.task import Task
from ensuite.decoding.sampling import Sampling
from ensuite.decoding.written import Steps
from ensuite.tasks.generate import Generate
from ensuite.training.evaluate import predict

WEIGHTS, CONFIG, TASK, RUN = "model.safetensors", "config.json", "task.json", "run.json"


class Stretch(NamedTuple):
    """The metrics of examples from one length to another."""

    shortest: int
    longest: int
    rows: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Predictor:
    """Something that answers: a trained network or a baseline, with the task it does.

    Args:
        name: What it is called in a table.
        task_name: The task's name in the catalog.
        task: Prepared and calibrated.
        model: The network, or the baseline.
        options: Of the network's backbone; None for a baseline.
        folder: Where it was loaded from.
    """

    name: str
    task_name: str
    task: Task[Any, Any, Any]
    model: Model | Baseline
    options: BackboneOptions | None = None
    folder: Path | None = None

    def predict(self, inputs: Sequence[Any]) -> list[Any]:
        """Answer raw inputs (texts, arrays, mappings of fields) or examples, in order."""
        return self.predict_examples([self.task.ask(raw) for raw in inputs])

    def predict_examples(self, examples: Sequence[Any]) -> list[Any]:
        """Return one prediction for each example, in order."""
        if not examples:
            return []
        if isinstance(self.model, Baseline):
            return list(self.model.predict(self.task, examples))
        return predict(self.task, self.model, examples)

    def read(
        self, data: Any, given: Mapping[str, str] | None = None, *, asking: bool
    ) -> Sequence[Any]:
        """Make examples of a file, or of data in memory, as the task's own training data was read.

        Of data with parts of its own the test part is read.

        Raises:
            DataError: If they are not of the kind the model was trained on, or a label is unknown.
        """
        tables = problem.open_tables(data)
        table = tables.get("test", tables["train"])
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
        """Return every metric of the shortest examples, the next longer ones, and so on.

        Args:
            examples: Labelled.
            parts: Into how many of equal size; examples of one length stay together.
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

        Raises:
            UsageError: If the model has no states (a baseline), or none for each position.
        """
        if isinstance(self.model, Baseline) or self.options is None:
            raise UsageError(f"{self.name} is a baseline: it has no states to embed with.")
        if not pool and Trait.SEQUENCE not in self.options.traits:
            raise UsageError(f"{self.name} has no state for each position; ask for pool=True.")
        batch = self.task.collate(self.task.items([self.task.ask(raw)], asking=True))
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            states = self.model.eval().backbone(batch.to(device))
        embedded: Tensor = states.summary if pool else states.sequence
        return embedded

    def generate(self, prompt: str = "", **options: Any) -> str:
        """Return how a language model goes on with a prompt, without the prompt.

        Args:
            prompt: What stands before; empty for the beginning of a text.
            options: As in :class:`~ensuite.decoding.sampling.Sampling`: ``temperature``,
                ``top_k``, ``top_p``, ``min_p``, ``repetition_penalty``, ``max_new_tokens``,
                ``stop``, ``beam`` and ``seed``.

        Raises:
            UsageError: If the task is another, an option has no such value, or the prompt cannot
                be read.
        """
        return "".join(self.stream(prompt, **options))

    def stream(self, prompt: str = "", **options: Any) -> Iterator[str]:
        """Return the pieces of what ``generate`` returns, each as soon as it is written."""
        return (piece for _, piece in self.write([prompt], **options))

    def write(self, prompts: Sequence[str], **options: Any) -> Iterator[tuple[int, str]]:
        """Return (number of the prompt, piece of its text), as all are gone on with together.

        Each prompt is gone on with as it is alone.
        """
        if not isinstance(self.task, Generate):
            raise UsageError(
                f"{self.name} was trained to {self.task_name}, not to go on with texts; "
                "`ensuite train generate` makes a model that does."
            )
        context = None if isinstance(self.model, Baseline) else self.model.eval().backbone.context
        model = cast(Steps, self.model)
        return self.task.write(model, prompts, Sampling(**options), context)

    @property
    def parameters(self) -> int:
        """How many numbers were learned."""
        if isinstance(self.model, Baseline):
            return self.model.parameters
        return sum(parameter.numel() for parameter in self.model.parameters())

    def with_settings(self, settings: Mapping[str, str]) -> Self:
        """Return it with options of the task set anew, as far as they can change after training."""
        return replace(self, task=set_options(self.task, settings, f"the task {self.task_name}"))

    def save(self, path: str | Path) -> Path:
        """Write the run folder: weights, configuration, task, tokenizer. No pickle."""
        folder, files = Path(path), dict[str, str]()
        task = to_json(self.task, files)
        if isinstance(self.model, Baseline):
            arrays = {k: torch.from_numpy(v.copy()) for k, v in self.model.arrays().items()}
            write_tensors(folder / WEIGHTS, arrays)
            config = {"baseline": _target(type(self.model)), "settings": self.model.settings()}
        else:
            write_tensors(folder / WEIGHTS, self.model.state_dict())
            config = {"options": to_json(self.options), "target": _target(type(self.options))}
        for name, text in files.items():
            write_text(folder / name, text)
        write_json(folder / TASK, {"task": self.task_name, "options": task})
        write_json(folder / CONFIG, {"name": self.name, **config})
        return folder

    @classmethod
    def load(cls, path: str | Path, *, device: str = "cpu") -> Self:
        """Open a run folder, or a comparison's folder: its winner.

        Raises:
            RunError: If a file is missing, damaged, or of something else.
        """
        folder = find_run(Path(path))
        config, described = read_json(folder / CONFIG), read_json(folder / TASK)
        tensors = read_tensors(folder / WEIGHTS)
        files = {p.name: p.read_text(encoding="utf-8") for p in folder.glob("*tokenizer.json")}
        try:
            task_class = type(problem.find_task(described["task"]))
            task = from_json(task_class, described["options"], files)
            model, options = _rebuild(config, task, tensors)
        except (KeyError, TypeError, ValueError, RuntimeError, EnsuiteError) as error:
            raise RunError(f"{folder} is not a whole run of this version ({error}).") from error
        if isinstance(model, Model):
            model.to(device).eval()
        return cls(config["name"], described["task"], task, model, options, folder)


def find_run(path: Path) -> Path:
    """Return the folder of a run: the folder itself, or the winner of a comparison's.

    Raises:
        RunError: If it is neither.
    """
    for folder in (path, path / "best"):
        if (folder / CONFIG).exists():
            return folder
    if not path.exists():
        raise RunError(
            f"There is no run at {path}; `ensuite train` and `ensuite compare` make them."
        )
    raise RunError(f"{path} is not a run: it has no {CONFIG}.")


def _target(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _rebuild(
    config: Mapping[str, Any], task: Task[Any, Any, Any], tensors: Mapping[str, Tensor]
) -> tuple[Model | Baseline, BackboneOptions | None]:
    if "baseline" in config:
        kind = _import(config["baseline"], Baseline)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return kind.restore(arrays, config["settings"]), None
    options = from_json(_import(config["target"], BackboneOptions), config["options"])
    model = Model.build(options, task)
    model.load_state_dict(tensors)
    return model, options


def _import(target: str, kind: type) -> Any:
    """Return a class that a run names; nothing but a ``kind`` is taken."""
    module, _, name = target.partition(":")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise RunError(f"{target} is not installed here: {error}") from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise RunError(f"{target} is not a {kind.__name__}")
    return found
