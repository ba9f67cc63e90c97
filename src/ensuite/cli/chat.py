"""ensuite chat: talk with a language model in the terminal."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ensuite.cli import early
from ensuite.cli import options as words
from ensuite.core.errors import EnsuiteError, UsageError, reason
from ensuite.core.printable import printable
from ensuite.core.seed import LARGEST_SEED

if TYPE_CHECKING:
    from ensuite.predictor import Predictor

COMMANDS = {"/reset": "forget the conversation", "/exit": "leave"}

ANSWER_SHARE = 4
"""At least this part of what the model reads is kept free for its answer: one fourth."""


def command(
    run: words.Run,
    system: Annotated[
        str | None, typer.Option(metavar="TEXT", help="System message: how to answer.")
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Jinja chat template (default: that of the run)."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(help="Maximum tokens of an answer.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="Below 1 favours likely tokens; 0 is greedy decoding.")
    ] = 0.7,
    top_p: Annotated[
        float, typer.Option(help="Sample only from the fewest tokens that together reach p.")
    ] = 0.95,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1, tokens that occurred before become less likely.")
    ] = 1.0,
    seed: Annotated[
        int, typer.Option(min=0, max=LARGEST_SEED, help="Random seed of the first answer.")
    ] = 0,
) -> None:
    """Talk with a language model: a line is a message, /reset starts anew, /exit leaves."""
    early.check_run(run)
    given = None if template is None else read_file(template)
    from ensuite.predictor import Predictor

    sampling = {
        "max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p,
        "repetition_penalty": repetition_penalty,
    }  # fmt: skip
    chat = Chat(with_template(Predictor.load(run), given), system, seed, sampling)
    if sys.stdin.isatty():
        print(", ".join(f"{name}: {what}" for name, what in COMMANDS.items()), file=sys.stderr)
    talk(chat)


def read_file(path: str) -> str:
    """Return the text of a file that the user names.

    Raises:
        UsageError: If it cannot be read.
    """
    from pathlib import Path

    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--template {path}: it cannot be read ({reason(error)}).") from error


def with_template(predictor: "Predictor", template: str | None) -> "Predictor":
    """Return the model with another chat template, if one is given."""
    from dataclasses import replace

    if template is None:
        return predictor
    return replace(predictor, task=replace(predictor.language, chat_template=template))


class Chat:
    """A conversation, and the model that answers.

    Args:
        predictor: The language model.
        system: The message that stands first; None: there is none.
        seed: Of the first answer; each later one has the next.
        sampling: How answers are written.
    """

    def __init__(
        self, predictor: "Predictor", system: str | None, seed: int, sampling: dict[str, Any]
    ) -> None:
        self.predictor, self.sampling = predictor, sampling
        self.beginning = [] if system is None else [{"role": "system", "content": system}]
        self.messages: list[Mapping[str, str]] = list(self.beginning)
        self.seed = seed

    def reset(self) -> None:
        """Forget all that was said."""
        self.messages = list(self.beginning)

    def answer(self, question: str) -> Iterator[str]:
        """Yield the answer to a message piece by piece; then both belong to the conversation.

        Raises:
            EnsuiteError: If the model cannot answer; the message is then forgotten.
        """
        from ensuite.data.chat import shorten

        asked = [*self.messages, {"role": "user", "content": question}]
        kept = shorten(asked, self.fits)
        if left_out := len(asked) - len(kept):
            print(
                f"The oldest {left_out} messages do not fit any more and are left out.",
                file=sys.stderr,
            )
        prompt, stops = self.predictor.language.converse(kept)
        pieces = self.predictor.stream(prompt, stop=stops, seed=self.seed, **self.sampling)
        said = ""
        for piece in pieces:
            piece = piece if said else piece.lstrip()
            said += piece
            yield piece
        self.seed = (self.seed + 1) % (LARGEST_SEED + 1)
        self.messages = [*kept, {"role": "assistant", "content": said.strip()}]

    def fits(self, messages: Sequence[Mapping[str, str]]) -> bool:
        """Say whether the model can read these messages and still has room for an answer."""
        context = self.predictor.fitted.context
        if context is None:
            return True
        room = min(int(self.sampling["max_new_tokens"]), context // ANSWER_SHARE)
        return len(self.predictor.language.converse(messages).prompt) + room <= context


def talk(chat: Chat) -> None:
    """Answer line after line of standard input, until it ends or /exit is typed."""
    for line in lines():
        match line.strip():
            case "":
                continue
            case "/exit":
                return
            case "/reset":
                chat.reset()
            case said if said.startswith("/"):
                raise_or_print(UsageError(f"{said}: the commands are {' and '.join(COMMANDS)}."))
            case said:
                print_answer(chat, said)


def lines() -> Iterator[str]:
    """Yield what is typed, after a prompt on a terminal."""
    typed = sys.stdin.isatty()
    while True:
        if typed:
            sys.stdout.write("> ")
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return
        yield line


def print_answer(chat: Chat, question: str) -> None:
    """Print the answer to a message as it is written. An interrupt on a terminal ends it."""
    show = printable if sys.stdout.isatty() else str
    try:
        for piece in chat.answer(question):
            sys.stdout.write(show(piece))
            sys.stdout.flush()
    except EnsuiteError as error:
        raise_or_print(error)
    except KeyboardInterrupt:
        if not sys.stdin.isatty():
            raise
    print()


def raise_or_print(error: EnsuiteError) -> None:
    """Say what is wrong and go on, on a terminal; elsewhere nobody could answer."""
    if not sys.stdin.isatty():
        raise error
    print(f"ensuite: {printable(error)}", file=sys.stderr)
