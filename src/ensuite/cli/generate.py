"""ensuite generate: continue a prompt with a language model."""

import sys
from typing import Annotated

import typer

from ensuite.cli import options as words
from ensuite.core.errors import UsageError


def command(
    run: words.Run,
    prompt: Annotated[
        str,
        typer.Argument(metavar="[PROMPT]", help="Text to continue; @FILE reads it from a file."),
    ] = "",
    max_new_tokens: Annotated[int, typer.Option(help="Maximum number of tokens.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="Below 1 favours likely tokens; 0 is greedy decoding.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(help="Sample only from the k most likely tokens.")
    ] = None,
    top_p: Annotated[
        float, typer.Option(help="Sample only from the fewest tokens that together reach p.")
    ] = 1.0,
    min_p: Annotated[
        float, typer.Option(help="Sample only tokens at least p times as likely as the top one.")
    ] = 0.0,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1, tokens that occurred before become less likely.")
    ] = 1.0,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Stop before this text; repeatable.")
    ] = None,
    beam: Annotated[
        int | None, typer.Option(help="Beam width: use beam search instead of sampling.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of texts; each uses the next seed.")] = 1,
    seed: Annotated[int, typer.Option(help="Random seed of the sampling.")] = 0,
    json: words.Json = False,
) -> None:
    """Continue a prompt with a trained language model."""
    from ensuite.cli.predict import content
    from ensuite.predictor import Predictor

    if count < 1:
        raise UsageError(f"--count {count}: give 1 or more.")
    predictor, prompt = Predictor.load(run), content(prompt)
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
        sys.stdout.write(prompt)
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        print()
    if json:
        words.print_json(found)
