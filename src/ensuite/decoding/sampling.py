"""Sampling: continue texts one token at a time, each drawn from the model's distribution."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from ensuite.core.batch import DECODER, Batch, Carry
from ensuite.core.errors import UsageError
from ensuite.decoding.telling import Telling
from ensuite.decoding.written import LanguageModel, Steps, choose

TOKENS = "tokens"
"""The input field of a language model."""


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
        max_new_tokens: The largest number of tokens to write.
        stop: Texts that end the continuation; they are not part of it.
        beam: Beam width, to search for the most probable text instead of sampling. None: sample.
        seed: Of the random numbers. The same seed gives the same text.

    Raises:
        UsageError: For a value outside its range; says what to give.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    max_new_tokens: int = 200
    stop: tuple[str, ...] = ()
    beam: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.stop, str):
            object.__setattr__(self, "stop", (self.stop,))
        rules = (
            ("temperature", 0 <= self.temperature < float("inf"), "0 (greedy) or more"),
            ("top_k", self.top_k is None or self.top_k >= 1, "1 or more, or none"),
            ("top_p", 0 < self.top_p <= 1, "more than 0, and 1 at most"),
            ("min_p", 0 <= self.min_p <= 1, "0 to 1"),
            ("repetition_penalty", 0 < self.repetition_penalty < float("inf"), "more than 0"),
            ("max_new_tokens", self.max_new_tokens >= 1, "1 or more"),
            ("beam", self.beam is None or self.beam >= 1, "1 or more, or none to draw"),
        )
        for name, holds, wanted in rules:
            if not holds:
                raise UsageError(f"{name} is {getattr(self, name)}; give {wanted}.")
        if "" in self.stop:
            raise UsageError("A stop text is empty and would end every text; give its characters.")

    def probabilities(self, logits: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return the probability with which each token is drawn, (batch, vocabulary).

        Args:
            logits: (batch, vocabulary).
            seen: (batch, vocabulary), True for tokens of the prompt and those written.
        """
        logits = logits.cpu().double()  # mps has no float64
        if seen is not None:
            logits = penalise(logits, seen.cpu(), self.repetition_penalty)
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
        seen: Tensor | None,
        generators: Sequence[torch.Generator],
        places: Sequence[int],
    ) -> dict[int, int]:
        """Draw the next token of some rows of a batch; return token by row number.

        Args:
            logits: (batch, vocabulary).
            seen: (batch, vocabulary), True for tokens of the prompt and those written.
            generators: One for each row.
            places: The numbers of the rows to draw for.
        """
        if not places:
            return {}
        likely = self.probabilities(logits[places], None if seen is None else seen[places])
        wide = torch.float64
        numbers = [torch.rand((), generator=generators[place], dtype=wide) for place in places]
        drawn = invert(likely, torch.stack(numbers).to(likely.device)).tolist()
        return dict(zip(places, drawn, strict=True))


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


def sample(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    tellings: Sequence[Telling],
    sampling: Sampling,
    barred: Sequence[int] = (),
) -> Iterator[tuple[int, str]]:
    """Continue every prompt, and yield (number of the prompt, piece of its text) as they come.

    All prompts are read in one pass up to the last but one token of the shortest. From there each
    row takes the rest of its own prompt and then writes, while others still read: there is no
    padding. Each row draws from its own generator, seeded alike, so that its continuation is that
    of the prompt alone. Finished rows leave the batch.

    Args:
        model: Gives the logits of the next token.
        prompts: One or more tokens each.
        tellings: One for each prompt; it decodes the tokens and says when the text is over.
        sampling: How a token is chosen.
        barred: Tokens that are never written.
    """
    rows, carry = list(range(len(prompts))), begin(model, prompts)
    device = next(iter(carry.values())).device
    generators = [torch.Generator().manual_seed(sampling.seed) for _ in prompts]
    common = min(map(len, prompts), default=1) - 1
    together = torch.tensor([p[:common] for p in prompts], dtype=torch.long, device=device)
    carry = read(model, together, carry)
    now = [prompt[common] for prompt in prompts]
    seen: Tensor | None = None
    for taken in count(common + 1):
        words = torch.tensor(now, device=device)
        logits, carry = step(model, words, carry, barred)
        if sampling.repetition_penalty != 1:
            if seen is None:
                seen = torch.zeros_like(logits, dtype=torch.bool).scatter(1, together, True)
            seen[torch.arange(len(rows), device=device), words] = True
        writing = [place for place, row in enumerate(rows) if len(prompts[row]) <= taken]
        drawn = sampling.draw(logits, seen, [generators[row] for row in rows], writing)
        now = [drawn[p] if p in drawn else prompts[row][taken] for p, row in enumerate(rows)]
        for place, token in drawn.items():
            if piece := tellings[rows[place]].take(token):
                yield rows[place], piece
        going = [place for place, row in enumerate(rows) if not tellings[row].over]
        if not going:
            return
        if len(going) < len(rows):
            kept = torch.tensor(going, device=device)
            carry, seen = choose(carry, kept), None if seen is None else seen[kept]
            now, rows = [now[place] for place in going], [rows[place] for place in going]


@torch.no_grad()
def begin(model: Steps, prompts: Sequence[Sequence[int]]) -> Carry:
    """Return the state before the first token of every prompt."""
    first = torch.tensor([prompt[:1] for prompt in prompts])
    return model.begin(Batch(inputs={TOKENS: first}))


@torch.no_grad()
def read(model: LanguageModel, tokens: Tensor, carry: Carry) -> Carry:
    """Take (batch, time) tokens in one pass, perhaps none; return the state after them."""
    if not tokens.shape[1]:
        return carry
    return model.read(Batch(inputs={TOKENS: tokens}), carry)[1]


@torch.no_grad()
def step(model: Steps, tokens: Tensor, carry: Carry, barred: Sequence[int]) -> tuple[Tensor, Carry]:
    """Take one token of every row; return the logits of the next one, and the state after it."""
    logits, carry = model.step({TOKENS: tokens}, carry)
    return logits.index_fill(-1, tokens.new_tensor(barred, dtype=torch.long), -torch.inf), carry


class Continued:
    """A model in the state after a prompt, as ``beam_search`` asks it to write.

    Args:
        model: Gives the logits of the next token.
        prompt: The tokens of the one row. The last of them is the start of the search.
        barred: Tokens that are never written.
    """

    def __init__(
        self, model: LanguageModel, prompt: Sequence[int], barred: Sequence[int] = ()
    ) -> None:
        self.model, self.prompt, self.barred = model, prompt, barred

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the last token of the prompt."""
        carry = begin(self.model, [self.prompt])
        device = next(iter(carry.values())).device
        tokens = torch.tensor([self.prompt[:-1]], dtype=torch.long, device=device)
        return read(self.model, tokens, carry)

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Tensor, Carry]:
        """Take one token of every beam; return the logits of the next one."""
        return step(self.model, inputs[DECODER], carry, self.barred)
