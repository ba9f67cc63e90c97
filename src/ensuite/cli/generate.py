"""ensuite generate: go on with a text."""

import sys
from typing import Annotated

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.core.errors import UsageError
from ensuite.core.printable import printable
from ensuite.core.seed import LARGEST_SEED, require_seed


def command(
    run: words.Run,
    prompt: Annotated[
        str, typer.Argument(metavar="[PROMPT]", help="What stands before; @FILE for its content.")
    ] = "",
    max_new_tokens: Annotated[int, typer.Option(help="After how many tokens to cut off.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="Below 1 the probable is more so; 0 takes the most probable.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="Only so many tokens may come next: the most probable.")
    ] = None,
    top_p: Annotated[
        float, typer.Option(help="Only the most probable that together reach this probability.")
    ] = 1.0,
    min_p: Annotated[
        float, typer.Option(help="Only those this share as probable as the most probable.")
    ] = 0.0,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1: what was there becomes less likely.")
    ] = 1.0,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="End there; can be repeated.")
    ] = None,
    beam: Annotated[
        int | None, typer.Option(help="Find a probable text instead: beginnings that are kept.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many texts; each has the next seed.")] = 1,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of what is drawn.")] = 0,
    json: words.Json = False,
) -> None:
    """Go on with a text, with a run of the task generate."""
    from ensuite.cli.predict import content
    from ensuite.data.walk import is_file

    if count < 1:
        raise UsageError(f"--count {count}: give 1 or more.")
    require_seed(seed + count - 1)
    early.check_run(run)
    if prompt and " " not in prompt and is_file(prompt):
        raise UsageError(f"{prompt} is a file: to go on with what stands in it, @{prompt}")
    prompt = content(prompt)
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    show = printable if sys.stdout.isatty() else str
    sampling = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k,
        "top_p": top_p, "min_p": min_p, "repetition_penalty": repetition_penalty,
        "stop": tuple(stop or ()), "beam": beam,
    }  # fmt: skip
    found = []
    for number in range(seed, seed + count):
        pieces = predictor.stream(prompt, seed=number, **sampling)
        if json:
            found.append({"prompt": prompt, "text": "".join(pieces), "seed": number})
            continue
        if number > seed:
            print(f"\n--- {number}")
        sys.stdout.write(show(prompt))
        for piece in pieces:
            sys.stdout.write(show(piece))
            sys.stdout.flush()
        print()
    if json:
        words.print_json(found)
