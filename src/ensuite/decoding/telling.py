"""From tokens as they are written to text that can be shown at once."""

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"
"""What stands for bytes that are no whole character."""


class Telling:
    """The text of one row that is being written, told piece by piece.

    What may still change is held back: the bytes of an unfinished character, and what may turn out
    to be the beginning of a stop text. A stop text is never told.

    Args:
        decode: From tokens to text; that of two parts is that of the whole, where no character
            spans both.
        end: The token that ends a text.
        longest: Tokens after which it is over.
        stops: Texts at which it is over.

    Attributes:
        over: Whether it has ended.
        tokens: How many were taken.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        end: int,
        longest: int,
        stops: Sequence[str] = (),
    ) -> None:
        self.decode, self.end, self.longest, self.stops = decode, end, longest, stops
        self.over, self.tokens = False, 0
        self._unfinished: list[int] = []
        self._held = ""

    def take(self, token: int) -> str:
        """Take the next token; return what can be told now, perhaps nothing."""
        self.tokens += 1
        self.over = token == self.end or self.tokens >= self.longest
        self._unfinished += [token] if token != self.end else []
        text = self.decode(self._unfinished)
        if text.endswith(BROKEN) and not self.over:
            return ""
        self._unfinished = []
        told, self._held, stopped = cut(self._held + text, self.stops, whole=self.over)
        self.over |= stopped
        return told


def cut(text: str, stops: Sequence[str], *, whole: bool = False) -> tuple[str, str, bool]:
    r"""Return what stands before a stop text, what may begin one, and whether there is one.

    Of several it is the one that ends first, so that nothing hangs on how the text was pieced.

    Args:
        text: What was not told yet.
        stops: The stop texts.
        whole: Whether nothing comes after it.

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
