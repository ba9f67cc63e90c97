"""Constrained generation: only tokens that keep a text within a pattern or a JSON schema."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ensuite.core.errors import UsageError

EXTRA = "pip install 'ensuite[constrain]'"

COMPACT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""How JSON is laid out: in one way, or a model could write spaces without end."""


@dataclass(frozen=True)
class Spelling:
    """What the tokens of a vocabulary stand for.

    Args:
        tokens: The bytes of each token by id; empty where it is never written.
        end: The token that ends a text.
        encode: Turns a text into tokens.
    """

    tokens: tuple[bytes, ...]
    end: int
    encode: Callable[[str], list[int]]

    # What llguidance asks of a tokenizer:

    @property
    def eos_token_id(self) -> int:
        """The token that ends a text."""
        return self.end

    @property
    def bos_token_id(self) -> None:
        """None: a text that continues a prompt has no start token."""
        return

    @property
    def special_token_ids(self) -> list[int]:
        """The special tokens, which have no text."""
        return [token for token, spelled in enumerate(self.tokens) if not spelled]

    def __call__(self, text: str) -> list[int]:
        """Return the tokens of a text."""
        return self.encode(text)

    def __hash__(self) -> int:
        return hash((self.tokens, self.end))

    def __eq__(self, other: object) -> bool:
        mine = (self.tokens, self.end)
        return isinstance(other, Spelling) and mine == (other.tokens, other.end)


def regex_grammar(pattern: str) -> str:
    """Return the grammar of the texts that a regular expression matches as a whole.

    Raises:
        UsageError: If it is not a regular expression, or the library is not installed.
    """
    return checked(library().LLMatcher.grammar_from_regex(pattern), f"The pattern {pattern}")


def schema_grammar(schema: str | Mapping[str, Any]) -> str:
    """Return the grammar of the documents that a JSON schema describes.

    Args:
        schema: As JSON text, or parsed.

    Raises:
        UsageError: If it is not a JSON schema, or the library is not installed.
    """
    if isinstance(schema, str):
        try:
            schema = json.loads(schema)
        except ValueError as error:
            raise UsageError(f"The JSON schema is not JSON: {error}.") from None
    if not isinstance(schema, Mapping):
        raise UsageError('A JSON schema is an object, such as {"type": "array"}.')
    make = library().LLMatcher.grammar_from_json_schema
    return checked(make(json.dumps(schema), defaults=COMPACT), "The JSON schema")


def library() -> Any:
    """Import llguidance.

    Raises:
        UsageError: If it is not installed.
    """
    try:
        import llguidance
    except ImportError:
        raise UsageError(
            f"Texts within a pattern or a JSON schema need the package llguidance: {EXTRA}"
        ) from None
    return llguidance


def checked(grammar: str, name: str) -> str:
    """Return a grammar.

    Raises:
        UsageError: If it is wrong; says why.
    """
    wrong, messages = library().LLMatcher.validate_grammar_with_warnings(grammar)
    if wrong:
        told = " ".join(str(messages[0]).split())
        cause = re.search(r".*error: (.*?)(?: \d+ \||$)", told)  # of a pattern, below its picture
        reason = (cause[1] if cause else told).rstrip(".")
        raise UsageError(f"{name} cannot be followed: {reason}.")
    return grammar


class Guide:
    """Says which tokens may come next in one text.

    Args:
        grammar: Of all that may be written.
        spelling: Of the tokens.
    """

    def __init__(self, grammar: str, spelling: Spelling) -> None:
        self.matcher = library().LLMatcher(vocabulary(spelling), grammar, log_level=0)
        self.written = np.array([bool(spelled) for spelled in spelling.tokens])
        self.written[spelling.end] = True

    def allowed(self) -> Tensor:
        """Return (vocabulary,), True for the tokens that may come next.

        The token that ends a text is among them once the text is whole.

        Raises:
            UsageError: If there is none.
        """
        bits = np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8)
        mask = np.unpackbits(bits, bitorder="little")[: len(self.written)].astype(np.bool_)
        mask &= self.written
        if self.matcher.is_error() or not mask.any():
            raise UsageError(
                "No token of the model continues the text within the pattern or schema; leave out "
                "characters that the model was not trained on."
            )
        return torch.from_numpy(mask)

    def take(self, token: int) -> None:
        """Take the next token of the text."""
        self.matcher.consume_token(token)

    @property
    def whole(self) -> bool:
        """Whether the text so far is one of the grammar's."""
        return bool(self.matcher.is_accepting())


@lru_cache(maxsize=4)
def vocabulary(spelling: Spelling) -> Any:
    """Return the tokens as llguidance holds them, in a tree by their bytes."""
    llguidance = library()
    return llguidance.LLTokenizer(llguidance.TokenizerWrapper(spelling))


def keep_allowed(logits: Tensor, guides: Sequence[Guide]) -> Tensor:
    """Mask the tokens that may not come next; a guide for each row of (rows, vocabulary)."""
    allowed = torch.stack([guide.allowed() for guide in guides]).to(logits.device)
    return logits.masked_fill(~allowed, -torch.inf)
