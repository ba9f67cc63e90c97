"""Questions about a text, packed with as much of the text as a window holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Inputs, Tokens
from ensuite.core.errors import DataError
from ensuite.data.encoded import Encoded, Ids, encode
from ensuite.data.processors.framed import Framed
from ensuite.data.processors.text import SEGMENTS
from ensuite.data.processors.tokenizer import fingerprint, load_tokenizer

Numbers = NDArray[Any]

PLACES = "places"
"""The field that tells the positions at which an answer may begin and end: those of the context,
and one that stands for "there is none"."""

ELSEWHERE, CONTEXT, NONE = range(3)

ID, START, END = range(3)
"""Columns of an encoded token: its id, and where its text begins and ends, in characters."""

LEAST_ROOM = 4
"""Tokens of the context that a window must hold beside the question, at least."""


@dataclass(frozen=True)
class SpanCoder:
    """Turns texts into (tokens, 3): ids, and where each token begins and ends in the text.

    Args:
        tokenizer: As JSON.
    """

    tokenizer: str

    columns: ClassVar[tuple[int, ...]] = (3,)

    @property
    def key(self) -> str:
        """What the ids depend on."""
        return f"spans {fingerprint(self.tokenizer)}"

    def __call__(self, texts: Sequence[str]) -> list[Ids]:
        encoded = load_tokenizer(self.tokenizer).encode_batch(list(texts), add_special_tokens=False)
        return [self._join(each) for each in encoded]

    def _join(self, encoded: Any) -> Ids:
        offsets = np.array(encoded.offsets, dtype=np.int32).reshape(-1, 2)
        ids = np.array(encoded.ids, dtype=np.int32)[:, None]
        return np.concatenate([ids, offsets], axis=1)


class Window(NamedTuple):
    """A question with a part of its context.

    Attributes:
        question: (tokens, 3).
        context: (tokens, 3), some of the tokens of the context.
        before: How many tokens of the context stand before them.
    """

    question: Numbers
    context: Numbers
    before: int


@dataclass(frozen=True, kw_only=True)
class Questions(Framed):
    """Read a question and a text, which becomes several windows where it is long.

    Args:
        window: Most tokens that are read at once: the question, a part of the context, and the
            special tokens.
        overlap: How many tokens of the context two neighbouring windows share.
        order: Which of the two texts stands first.
    """

    window: int = 384
    overlap: int = 128
    order: Literal["question", "context"] = "question"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.overlap < 0:
            raise ValueError("overlap must be 0 or more")

    def prepare(
        self, pairs: Sequence[tuple[str, str]], pretrained: Pretrained | None = None
    ) -> Self:
        """Learn a vocabulary from contexts and questions, or keep that of a checkpoint or run."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        return self.learn(texts, pretrained)

    @property
    def inputs(self) -> Inputs:
        """The input fields of a batch."""
        return {**self.fields(pairs=True), PLACES: Tokens(3, pad=0, reader="head")}

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Return (tokens, 3) of each text: ids, and where each token begins and ends."""
        return encode(SpanCoder(self.tokenizer), texts)

    def windows(self, pairs: Sequence[tuple[str, str]]) -> list[list[Window]]:
        """Return the windows of each context and question.

        Raises:
            DataError: If a question is so long that it leaves no room for its context.
        """
        contexts = self.encode([context for context, _ in pairs])
        questions = self.encode([question for _, question in pairs])
        found = []
        for (_, text), context, question in zip(pairs, contexts, questions, strict=True):
            room = self.room(len(question), text)
            step = room - min(self.overlap, room // 2)
            starts = range(0, max(1, len(context) - room + step), step)
            windows = [Window(question, context[at : at + room], at) for at in starts]
            found.append(windows)
        return found

    def room(self, question: int, text: str = "") -> int:
        """Return how many tokens of the context a window has beside a question of some tokens.

        Raises:
            DataError: If there is no room.
        """
        frame = self.pair
        room = self.window - frame.size - len(frame.between) - question
        if room < LEAST_ROOM:
            raise DataError(
                f'The question "{text[:60]}" has {question:,} tokens, and a window of '
                f"{self.window:,} has no room for a text beside it; give a shorter question, or, "
                "unless the model reads no more at once, "
                f"--set window={self.window - room + LEAST_ROOM} or more."
            )
        return room

    def collate(self, windows: Sequence[Window]) -> tuple[Batch, NDArray[np.int64]]:
        """Make a batch, and tell where the context begins in each row and where "none" stands.

        Returns:
            The batch, and (rows, 2): the position of the first token of the context, and of none.
        """
        first = self.order == "question"
        texts = [(w.question[:, ID], w.context[:, ID]) for w in windows]
        layout = self.lay_out(texts if first else [pair[::-1] for pair in texts])
        questions = np.array([len(window.question) for window in windows])
        contexts = np.array([len(window.context) for window in windows])
        before, between = len(self.pair.before), len(self.pair.between)
        start = before + (questions + between if first else np.zeros_like(questions))
        # [CLS], or without one what stands between the two texts
        none = np.where(before > 0, 0, questions if first else contexts)
        time = np.arange(layout.tokens.shape[1])
        inside = (time >= start[:, None]) & (time < (start + contexts)[:, None])
        places = np.where(inside, CONTEXT, ELSEWHERE)
        places[np.arange(len(windows)), none] = NONE
        inputs = {"tokens": layout.tokens, PLACES: places}
        if SEGMENTS in self.fields(pairs=True):
            inputs[SEGMENTS] = layout.segments
        tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
        batch = Batch(inputs=tensors, mask=torch.from_numpy(layout.mask))
        return batch, np.stack([start, none], axis=1)


def tokens_of(context: Numbers, start: int, end: int) -> tuple[int, int] | None:
    """Return the first and last token that have some of the text between two characters.

    None where the text is not wholly within these tokens.

    >>> tokens_of(np.array([[7, 0, 2], [8, 2, 6], [9, 7, 9]]), 3, 8)
    (1, 2)
    """
    inside = np.flatnonzero((context[:, START] < end) & (context[:, END] > start))
    if not len(inside):
        return None
    first, last = int(inside[0]), int(inside[-1])
    whole = context[first, START] <= start and context[last, END] >= end
    return (first, last) if whole else None
