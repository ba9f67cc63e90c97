"""ensuite generate: continue a prompt with a language model."""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.core.errors import UsageError
from ensuite.core.printable import printable
from ensuite.core.seed import LARGEST_SEED, require_seed

if TYPE_CHECKING:
    from ensuite.tasks.text_generator import Completion


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
    frequency_penalty: Annotated[
        float, typer.Option(help="Subtracted from a token's logit each time it was written.")
    ] = 0.0,
    stop: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="Stop before this text; repeatable.")
    ] = None,
    beam: Annotated[
        int | None, typer.Option(help="Beam width: use beam search instead of sampling.")
    ] = None,
    count: Annotated[int, typer.Option(help="Number of texts; each uses the next seed.")] = 1,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Random seed of the sampling.")
    ] = 0,
    regex: Annotated[
        str | None, typer.Option(help="Write a text that this regular expression matches.")
    ] = None,
    json_schema: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JSON that follows this JSON schema.")
    ] = None,
    slide: Annotated[
        bool,
        typer.Option(
            "--slide", help="Continue beyond the model's context by dropping the oldest tokens."
        ),
    ] = False,
    log_probabilities: Annotated[
        bool,
        typer.Option("--log-probabilities", help="With --json: each token and its probability."),
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="int8=true: int8 weights."),
    ] = None,
    json: words.Json = False,
) -> None:
    """Continue a prompt with a trained language model."""
    from ensuite.cli.predict import content
    from ensuite.data.walk import is_file

    if count < 1:
        raise UsageError(f"--count {count}: give 1 or more.")
    if count > 1 and beam is not None:
        raise UsageError(
            f"--count {count}: a beam search finds one text; leave out one of the two."
        )
    require_seed(seed + count - 1)
    if log_probabilities and (not json or beam is not None):
        raise UsageError("--log-probabilities goes with --json, and not with --beam.")
    int8 = words.wants_int8(set_)
    early.check_run(run)
    if prompt and " " not in prompt and is_file(prompt):
        raise UsageError(f"{prompt} is a file; to continue the text in it, type @{prompt}.")
    prompt = content(prompt)
    from ensuite.predictor import Predictor

    predictor = Predictor.load(run)
    predictor = predictor.to_int8() if int8 else predictor
    show = printable if sys.stdout.isatty() else str
    sampling = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k,
        "top_p": top_p, "min_p": min_p, "repetition_penalty": repetition_penalty,
        "frequency_penalty": frequency_penalty, "stop": tuple(stop or ()), "beam": beam,
        "slide": slide, "regex": regex,
        "json_schema": None if json_schema is None else content(f"@{json_schema}"),
    }  # fmt: skip
    if json:
        found = predictor.complete(prompt, count=count, seed=seed, **sampling)
        to_tokens = predictor.language.writing.to_tokens if log_probabilities else None
        words.print_json(
            [record(prompt, seed + n, each, to_tokens) for n, each in enumerate(found)]
        )
        return
    for number in range(seed, seed + count):
        pieces = predictor.stream(prompt, seed=number, say=complain, **sampling)
        if number > seed:
            print(f"\n--- {number}")
        sys.stdout.write(show(prompt))
        for piece in pieces:
            sys.stdout.write(show(piece))
            sys.stdout.flush()
        print()


def complain(sentence: str) -> None:
    """Print a sentence on standard error, beside the text."""
    print(sentence, file=sys.stderr)


def record(
    prompt: str,
    seed: int,
    written: "Completion",
    to_tokens: Callable[[Sequence[int]], Sequence[str]] | None,
) -> dict[str, Any]:
    """Return a text as JSON has it.

    Args:
        prompt: What it continues.
        seed: By which it was drawn.
        written: The text.
        to_tokens: Turns ids into the text of each token; None: tokens are left out.
    """
    found: dict[str, Any] = {"prompt": prompt, "text": written.text, "seed": seed}
    found["finish_reason"] = written.finish_reason
    if to_tokens is None or written.log_probabilities is None:
        return found
    pairs = zip(to_tokens(written.tokens), written.log_probabilities, strict=True)
    return {**found, "tokens": [{"token": t, "log_probability": p} for t, p in pairs]}
