"""Sampling: how the next token is drawn from the distribution of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from ensuite.core.errors import UsageError
from ensuite.decoding.constrain import regex_grammar, schema_grammar

MOST_TOKENS = 2**31 - 1
"""The largest number of tokens that may be asked for."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a text is continued.

    Args:
        temperature: Divides the logits. Below 1 the distribution is sharper; 0 always takes the
            most probable token (greedy decoding).
        top_k: Sample from the k most probable tokens only. None: from all.
        top_p: Sample from the smallest set of tokens whose probabilities reach this sum (nucleus
            sampling). 1: from all.
        min_p: Sample only from tokens whose probability is at least this share of the highest one.
            0: from all.
        repetition_penalty: Makes tokens less likely that stand in the prompt or were written. 1
            has no effect.
        frequency_penalty: Subtracted from the logit of a token for each time that it was written.
        max_new_tokens: The largest number of tokens to write.
        stop: Texts that end the continuation; they are not part of it.
        beam: Beam width, to search for the most probable text instead of sampling. None: sample.
        seed: Of the random numbers. The same seed gives the same text.
        regex: A regular expression that the whole continuation matches. None: any text.
        json_schema: A JSON schema that the continuation follows, as JSON or as what that stands
            for. None: any text.
        slide: Whether a text may be longer than the model reads at once: each time that the context
            is full, its later half is read again and the earlier tokens are dropped. If false,
            such a prompt is refused, and a text ends where the context is full.

    Raises:
        UsageError: For a value outside its range; says what to give.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    max_new_tokens: int = 200
    stop: tuple[str, ...] = ()
    beam: int | None = None
    seed: int = 0
    regex: str | None = None
    json_schema: str | Mapping[str, Any] | None = None
    slide: bool = False

    def __post_init__(self) -> None:
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", stop)
        self._require_numbers()
        infinity = float("inf")
        rules = (
            (
                "temperature",
                0 <= self.temperature < infinity,
                "0 (greedy) or more, and less than infinity",
            ),
            ("top_k", self.top_k is None or self.top_k >= 1, "1 or more, or none"),
            ("top_p", 0 < self.top_p <= 1, "more than 0, and 1 at most"),
            ("min_p", 0 <= self.min_p <= 1, "0 to 1"),
            (
                "repetition_penalty",
                0 < self.repetition_penalty < infinity,
                "more than 0 and less than infinity",
            ),
            ("frequency_penalty", abs(self.frequency_penalty) < infinity, "a finite number"),
            ("max_new_tokens", self.max_new_tokens >= 1, "1 or more"),
            ("max_new_tokens", self.max_new_tokens <= MOST_TOKENS, f"{MOST_TOKENS:,} at most"),
            ("beam", self.beam is None or self.beam >= 1, "1 or more, or none to draw"),
        )
        for name, holds, wanted in rules:
            if not holds:
                raise UsageError(f"{name} is {getattr(self, name)}; give {wanted}.")
        if "" in self.stop:
            raise UsageError("A stop text is empty and would end every text; give its characters.")
        if self.beam is not None and self.slide:
            raise UsageError(
                "A beam search stays within the context; give beam or slide, not both."
            )
        if self.grammar is not None and self.beam is not None:
            raise UsageError("A beam search keeps to no pattern or schema; leave beam out.")

    @cached_property
    def grammar(self) -> str | None:
        """The grammar that the text keeps to; None where there is none.

        Raises:
            UsageError: If the pattern or the schema is none, or both are given.
        """
        if self.regex is not None and self.json_schema is not None:
            raise UsageError("Give a pattern (regex) or a json_schema, not both.")
        if self.regex is not None:
            return regex_grammar(self.regex)
        return None if self.json_schema is None else schema_grammar(self.json_schema)

    def _require_numbers(self) -> None:
        """Refuse what is no number, and what is no whole number where one is needed."""
        whole = ("top_k", "max_new_tokens", "beam", "seed")
        real = ("temperature", "top_p", "min_p", "repetition_penalty", "frequency_penalty")
        for name in (*whole, *real):
            value, expected = getattr(self, name), Integral if name in whole else Real
            missing = value is None and name in ("top_k", "beam")
            if not missing and (isinstance(value, bool) or not isinstance(value, expected)):
                kind = "whole number" if name in whole else "number"
                raise UsageError(f"{name} is {value!r}; give a {kind}.")
        if not all(isinstance(each, str) for each in self.stop):
            raise UsageError(f"stop is {self.stop!r}; give texts.")

    @property
    def penalises(self) -> bool:
        """Whether a token's logit depends on the tokens before."""
        return self.repetition_penalty != 1 or self.frequency_penalty != 0

    def probabilities(self, logits: Tensor, used: "Used | None" = None) -> Tensor:
        """Return the probability with which each token is drawn, (batch, vocabulary).

        Args:
            logits: (batch, vocabulary).
            used: The tokens of each row; None: no token was used.
        """
        logits = logits.cpu().double()  # mps has no float64
        if used is not None:
            logits = penalise(logits, used.seen, self.repetition_penalty)
            logits = logits - self.frequency_penalty * used.written
        if self.temperature == 0:
            return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
        logits = logits / self.temperature
        if self.top_k is not None:
            logits = keep_top_k(logits, self.top_k)
        if self.top_p < 1:
            logits = keep_top_p(logits, self.top_p)
        if self.min_p:
            logits = keep_min_p(logits, self.min_p)
        return logits.softmax(-1)

    def draw(
        self,
        logits: Tensor,
        used: "Used | None",
        generators: Sequence[torch.Generator],
    ) -> list[int]:
        """Draw the next token of each row.

        Args:
            logits: (batch, vocabulary).
            used: The tokens of each row; None: no token was used.
            generators: One for each row.
        """
        if self.temperature == 0 and used is None:
            greedy: list[int] = logits.argmax(-1).tolist()
            return greedy
        numbers = [torch.rand((), generator=each, dtype=torch.float64) for each in generators]
        drawn: list[int] = invert(self.probabilities(logits, used), torch.stack(numbers)).tolist()
        return drawn


@dataclass(frozen=True)
class Used:
    """Which tokens each row has used, on the CPU; counted on as tokens are written.

    Args:
        seen: (batch, vocabulary), True for tokens of the prompt and those written.
        written: (batch, vocabulary), how often each was written.
    """

    seen: Tensor
    written: Tensor

    @classmethod
    def of(cls, prompts: Sequence[Sequence[int]], size: int) -> "Used":
        """Return the tokens of prompts, of a vocabulary of some size, before any is written."""
        seen = torch.zeros(len(prompts), size, dtype=torch.bool)
        for row, prompt in zip(seen, prompts, strict=True):
            row[torch.tensor(prompt, dtype=torch.long)] = True
        return cls(seen, torch.zeros(len(prompts), size, dtype=torch.long))

    def add(self, row: int, token: int) -> None:
        """Count a token that was written."""
        self.seen[row, token] = True
        self.written[row, token] += 1

    def pick(self, rows: Sequence[int]) -> "Used":
        """Return some of the rows."""
        return Used(self.seen[rows], self.written[rows])


def penalise(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make the seen tokens less likely: positive logits are divided, negative ones multiplied.

    Source:
        Keskar et al. (2019), https://arxiv.org/abs/1909.05858, section 4.1. There all logits are
        divided, which would raise a negative one.
    """
    less = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, less, logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Mask all but the ``k`` most probable tokens; ties with the last of them stay too.

    Source:
        Fan, Lewis & Dauphin (2018), https://arxiv.org/abs/1805.04833, section 5.4
    """
    last = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < last, -torch.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Mask all but the smallest set of most probable tokens whose probabilities reach ``p``.

    Source:
        Holtzman et al. (2020), https://arxiv.org/abs/1904.09751, section 3.1
    """
    ordered, places = logits.sort(dim=-1, descending=True, stable=True)
    likely = ordered.softmax(-1)
    reached = likely.cumsum(-1) - likely >= p  # by those before it
    return logits.masked_fill(torch.zeros_like(reached).scatter(-1, places, reached), -torch.inf)


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """Mask tokens less than ``share`` times as probable as the most probable one.

    Source:
        Nguyen et al. (2024), https://arxiv.org/abs/2407.01082, section 3
    """
    likely = logits.softmax(-1)
    return logits.masked_fill(likely < share * likely.amax(-1, keepdim=True), -torch.inf)


def invert(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Invert the cumulative distribution: return the first token whose cumulative sum is larger.

    Args:
        probabilities: (batch, vocabulary).
        numbers: (batch,), uniform random numbers from 0 to less than 1.
    """
    sums = probabilities.cumsum(-1)
    passed = (sums > numbers[:, None] * sums[:, -1:]).int()
    return passed.argmax(-1)
