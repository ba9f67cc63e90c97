"""Streaming: decode tokens into text while they are written."""

from collections.abc import Callable, Sequence
from typing import Literal

FinishReason = Literal["end", "stop", "length"]

REPLACEMENT_CHARACTER = "\ufffd"
"""The character that decoders put in the place of an incomplete one."""


class TextStreamer:
    """Decodes the tokens of one row that is being written, piece by piece.

    Text that may still change is held back: the bytes of an incomplete character, and what may be
    the beginning of a stop text. A stop text is never returned.

    Args:
        decode: Turns tokens into text. The texts of two parts must join to the text of the whole,
            where no character spans both.
        end: The token that ends a text.
        longest: The largest number of tokens.
        stops: Texts that end the text.

    Attributes:
        finish_reason: Why the text is finished: the model ended it (end), it came to a stop text
            (stop), or it has the largest number of tokens (length). None while it is not.
        tokens: How many tokens were taken.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        end: int,
        longest: int,
        stops: Sequence[str] = (),
    ) -> None:
        self.decode, self.end, self.longest, self.stops = decode, end, longest, stops
        self.finish_reason: FinishReason | None = None
        self.tokens = 0
        self._unfinished: list[int] = []
        self._held = ""

    @property
    def finished(self) -> bool:
        """Whether the text is finished."""
        return self.finish_reason is not None

    def take(self, token: int) -> str:
        """Take the next token; return the text that is certain now, perhaps none."""
        self.tokens += 1
        if token == self.end:
            self.finish_reason = "end"
        elif self.tokens >= self.longest:
            self.finish_reason = "length"
        self._unfinished += [token] if token != self.end else []
        text = self.decode(self._unfinished)
        if text.endswith(REPLACEMENT_CHARACTER) and not self.finished:
            return ""
        self._unfinished = []
        certain, self._held, stopped = cut(self._held + text, self.stops, whole=self.finished)
        self.finish_reason = "stop" if stopped else self.finish_reason
        return certain


def cut(text: str, stops: Sequence[str], *, whole: bool = False) -> tuple[str, str, bool]:
    r"""Return the text before a stop text, what may begin one, and whether there is one.

    Of several the one that ends first counts, so that it does not matter in which pieces the text
    came.

    Args:
        text: What was not returned yet.
        stops: The stop texts.
        whole: Whether this is the end of the text.

    >>> cut("so. End", ["\n\n", "End"]), cut("so.\n", ["\n\n", "End"])
    (('so. ', '', True), ('so.', '\n', False))
    """
    found = [(at + len(stop), at) for stop in stops if (at := text.find(stop)) >= 0]
    if found:
        return text[: min(found)[1]], "", True
    if whole:
        return text, "", False
    for start in range(max(0, len(text) - max(map(len, stops), default=0) + 1), len(text)):
        if any(stop.startswith(text[start:]) for stop in stops):
            return text[:start], text[start:], False
    return text, "", False
