"""What a beginner types instead of our words, answered with the words to type."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from ensuite import catalog
from ensuite.core.errors import UsageError
from ensuite.core.synonyms import SYNONYMS, length_hint

ParserError: type[Exception] = typer.BadParameter.__bases__[0]
"""The parent of all errors of the parser, which typer does not name."""

OPTIONS = {
    "--time": "the length of training is the budget: --budget {value}",
    "--timeout": "the length of training is the budget: --budget {value}",
    "--time-limit": "the length of training is the budget: --budget {value}",
    "--gpu": "the device is named: --device cuda",
    "--cuda": "the device is named: --device cuda",
    "--output": "the folder to write is --out {value}",
    "--output-dir": "the folder to write is --out {value}",
    "--output_dir": "the folder to write is --out {value}",
    "-o": "the folder to write is --out {value}",
    "--label": "a column is given a role: --column label={value}",
    "--target": "a column is given a role: --column target={value}",
    "--text": "a column is given a role: --column text={value}",
    "--data": "the file is the argument after the task: classify {value}",
    "--task": "the task is the first argument: {value} DATA",
    "--cv": "cross-validation is --folds {value}",
    "--n-jobs": "trainings side by side are --jobs {value}",
    "--verbose": "there is nothing more to say; --debug shows the traceback of an error",
    "-v": "there is nothing more to say; --debug shows the traceback of an error",
}
"""Options of other programs, and what is typed here."""

OF_COMMAND = {
    ("train", "--models"): "it trains one model, --model NAME; several: `ensuite compare`",
    ("train", "--seeds"): "it trains once, with --seed {value}; several seeds: `ensuite compare`",
    ("train", "--folds"): "it trains once; cross-validation: `ensuite compare`",
    ("train", "--total"): "it trains once, as long as --budget {value} says",
    ("compare", "--seed"): "seeds are counted from 0: --seeds N is how many there are",
    ("compare", "--resume"): "run the same command again, and it goes on where it stopped",
    ("predict", "--input"): "inputs are arguments of their own, or rows of a file: --file {value}",
    ("predict", "--model"): "a run is its own argument: ensuite predict {value}",
    ("evaluate", "--metric"): "all metrics are printed",
}
"""Options that another command has."""


class Command(TyperCommand):
    """A command whose usage errors say what to type, where that is known."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        typed = list(args)
        try:
            return super().parse_args(ctx, args)
        except ParserError as error:
            if said := explain(self.name or "", error, typed):
                raise UsageError(said) from None
            raise


class Group(TyperGroup):
    """The program, which knows that a task is no command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0] if args else ""
        if word not in self.commands and is_task(word):
            rest = " ".join(args[1:]) or "DATA"
            raise UsageError(
                f'"{word}" is a task, which follows a command: ensuite compare {word} {rest}'
            )
        return super().resolve_command(ctx, args)


def explain(command: str, error: Exception, typed: Sequence[str]) -> str:
    """Return a sentence for an error of the parser; empty where its own has to do."""
    option = getattr(error, "option_name", None)
    if option is not None:
        return explain_option(command, option, typed)
    missing = getattr(getattr(error, "param", None), "name", None)
    words = [word for word in typed if not word.startswith("-")]
    if command in ("compare", "train") and missing == "data" and words:
        return explain_data(command, words[0])
    if command == "train" and missing == "model" and len(words) > 1:
        start = f"{words[0]} {words[1]}"
        return (
            f"train needs a model: ensuite train {start} --model NAME (`ensuite models --task "
            f"{words[0]}` lists them); `ensuite compare {start}` tries all that fit."
        )
    return ""


def explain_option(command: str, option: str, typed: Sequence[str]) -> str:
    """Return what is typed for an option that the command does not have; empty if not known."""
    value = value_of(option, typed)
    said = OF_COMMAND.get((command, option)) or OPTIONS.get(option)
    trains = command in ("compare", "train")
    if said is None and trains:
        said = length_hint(option.lstrip("-"), value)
    if said:
        return f"{command} has no option {option}: {said.replace('{value}', value)}."
    name = option.lstrip("-").replace("-", "_")
    ours = SYNONYMS.get(name, (name,))[0]
    if trains and (name in SYNONYMS or ours in SETTABLE):
        return f"{command} has no option {option}: such options are set by --set {ours}={value}."
    return ""


def explain_data(command: str, word: str) -> str:
    """Return what is typed where a single word stands in place of the task and the data."""
    if is_task(word):
        return f"{command} needs data: ensuite {command} {word} FILE (or a set of `ensuite data`)."
    if Path(word).exists():
        return (
            f"{word} is the data; the task comes before it: ensuite {command} classify {word} "
            "(`ensuite tasks` lists the tasks)."
        )
    return ""


def value_of(option: str, typed: Sequence[str]) -> str:
    """Return the value that was typed for an option, or a word that stands for one.

    >>> value_of("--lr", ["x", "--lr", "0.1"]), value_of("--lr", ["--lr=1"]), value_of("-v", ["-v"])
    ('0.1', '1', 'VALUE')
    """
    for place, word in enumerate(typed):
        name, equals, value = word.partition("=")
        if name == option and equals:
            return value
        if word == option and place + 1 < len(typed) and not typed[place + 1].startswith("-"):
            return typed[place + 1]
    return "VALUE"


def is_task(word: str) -> bool:
    """Return whether a word is a task, here or elsewhere."""
    return word in catalog.tasks or catalog.ELSEWHERE.get(word.lower()) in catalog.tasks


SETTABLE = frozenset(
    (
        "learning_rate", "batch_size", "optimizer", "schedule", "clip", "weight_decay", "warmup",
        "precision", "width", "layers", "dropout", "embedding", "bidirectional", "heads", "kernel",
        "horizon", "window", "truncation", "vocabulary", "unit", "size", "input", "separator",
        "class_weight", "criterion",
    )
)  # fmt: skip
"""Options that --set gives, which people type as options of the command."""
