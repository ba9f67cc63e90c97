"""ensuite sample: draw new data from a variational autoencoder."""

import sys
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.core.errors import UsageError
from ensuite.core.printable import printable
from ensuite.core.seed import LARGEST_SEED

if TYPE_CHECKING:
    from ensuite.predictor import Predictor
    from ensuite.tasks.reduce_walks import Walk

WALKS = ("traversal", "interpolation")

SAMPLES = "samples.png"
"""Where pictures go if no file is given."""

SMALLEST = 56
"""Height and width that a picture of a grid has at least, in pixels of the PNG."""

MOST = 100_000
"""Most inputs that are drawn at once."""


def command(
    run: words.Run,
    count: Annotated[int, typer.Option(help="Number of rows, pictures or series.")] = 16,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Seed of the draw.")] = 0,
    label: Annotated[
        str | None, typer.Option(help="Label to draw (of a run with task.condition=true).")
    ] = None,
    walk: Annotated[
        str | None,
        typer.Option(
            help="Instead of drawing, move one unit of the code at a time (traversal), or go from "
            "one drawn code to another (interpolation)."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            help=f"File to write: a .png of pictures (default: {SAMPLES}), .csv or .jsonl."
        ),
    ] = None,
    json: words.Json = False,
) -> None:
    """Draw new rows, pictures or series from a trained vae or vae-gan."""
    from ensuite.cli.predict import show_rows, write
    from ensuite.core.files import write_bytes

    if not 1 <= count <= MOST:
        raise UsageError(f"--count {count}: give 1 to {MOST:,}.")
    early.check_run(run)
    if walk not in (None, *WALKS):
        raise UsageError(f"--walk {walk}: choose one of {', '.join(WALKS)}.")
    if out is not None and Path(out).suffix not in (".png", ".csv", ".jsonl"):
        raise UsageError(f"--out {out}: end its name in .png, .csv or .jsonl.")
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    if walk is None:
        drawn, columns = predictor.sample(count, seed=seed, label=label), ceil(count**0.5)
    else:
        paths = predictor.walk(cast("Walk", walk), count, seed=seed, label=label)
        drawn, columns = paths.reshape(-1, *paths.shape[2:]), paths.shape[1]
    pictures = predictor.task.unit == "image"
    if pictures and not json:
        out = out or SAMPLES
    if out is not None and out.endswith(".png"):
        if not pictures:
            raise UsageError(f"--out {out}: these are no pictures; end its name in .csv or .jsonl.")
        write_bytes(Path(out), to_png(predictor, drawn, columns))
    elif out is not None:
        write(Path(out), to_rows(predictor, drawn))
    elif json:
        words.print_json(to_rows(predictor, drawn))
    else:
        show_rows(to_rows(predictor, drawn))
    if out is not None:
        print(f"{words_of(predictor, len(drawn))} in {printable(out)}", file=sys.stderr)


def words_of(predictor: "Predictor", count: int) -> str:
    """Return how many of what were drawn."""
    from ensuite.report.words import plural

    unit = predictor.task.unit
    return f"{count:,} {unit if count == 1 else plural(unit)}"


def to_png(predictor: "Predictor", drawn: Any, columns: int) -> bytes:
    """Return pictures, (count, height, width, channels), as one PNG, so many side by side."""
    from ensuite.data.images import grid

    shades = predictor.task.processor.shades(drawn)
    enlarge = max(1, ceil(SMALLEST / max(drawn.shape[1:3])))
    return grid(shades, columns, enlarge=enlarge)


def to_rows(predictor: "Predictor", drawn: Any) -> list[dict[str, Any]]:
    """Return the rows of a table: one for each row or picture, or for each step of a series."""
    processor = predictor.task.processor
    names = list(getattr(processor, "names", ()))
    if predictor.task.unit != "series":
        flat = drawn.reshape(len(drawn), -1)
        names = names or [f"number_{number}" for number in range(1, flat.shape[1] + 1)]
        return [dict(zip(names, row, strict=True)) for row in flat.tolist()]
    names = names or [f"value_{number}" for number in range(1, drawn.shape[2] + 1)]
    return [
        {"series": number, "step": step, **dict(zip(names, values, strict=True))}
        for number, series in enumerate(drawn.tolist(), 1)
        for step, values in enumerate(series, 1)
    ]
