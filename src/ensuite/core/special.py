"""The special tokens of a vocabulary, by what they are for."""

from typing import NamedTuple


class Special(NamedTuple):
    """Ids of the tokens that stand for no text; None where a vocabulary has no such token.

    They are learned or read together with the tokenizer and saved with it. Two of them may be the
    same token: the end of one text may be the start of the next.

    Attributes:
        pad: Fills the end of short rows. Which positions are padding, only the mask tells.
        unknown: Stands for what the vocabulary has no token for.
        start: Stands before the first token of a text that is written.
        end: Stands after its last token.
        separator: Stands between two texts that are read together.
        cls: Stands before a text whose state at this token summarises it.
        mask: Stands in place of a token that is to be predicted.
    """

    pad: int | None = None
    unknown: int | None = None
    start: int | None = None
    end: int | None = None
    separator: int | None = None
    cls: int | None = None
    mask: int | None = None
