"""Sampling: continue texts one token at a time, each drawn from the model's distribution."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from ensuite.core.batch import DECODER, Batch, Carry
from ensuite.core.errors import UsageError
from ensuite.decoding.telling import Telling
from ensuite.decoding.written import Steps, choose

TOKENS = "tokens"
"""The field that holds what is read."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Options of text generation.

    Args:
        temperature: Divisor of the logits; values below 1 favour probable tokens. 0: greedy
            decoding.
        top_k: Number of most probable tokens that are sampled from. None: all tokens.
        top_p: Nucleus sampling: sample from the fewest most probable tokens whose probabilities sum
            to at least this. 1: all tokens.
        min_p: Smallest probability of a token that is sampled, relative to that of the most
            probable token. 0: all tokens.
        repetition_penalty: Factor by which tokens that occur in the text become less likely
            (positive logits are divided by it, negative ones multiplied). 1: no penalty.
        max_new_tokens: Largest number of tokens generated.
        stop: Texts at which generation stops; they are not part of the output.
        beam: Beam width of a search for the most probable text. None: sample.
        seed: Seed of the random numbers; the same seed gives the same text.

    Raises:
        UsageError: For a value out of range.
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
        """Return how likely each token is to be drawn, (batch, vocabulary).

        Args:
            logits: (batch, vocabulary).
            seen: (batch, vocabulary), True of tokens that were there.
        """
        logits = logits.double()
        if seen is not None:
            logits = penalise(logits, seen, self.repetition_penalty)
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
        """Return the token that is drawn at each of some places of a batch.

        Args:
            logits: (batch, vocabulary).
            seen: (batch, vocabulary), True of tokens that were there.
            generators: Of each row.
            places: The rows that write.
        """
        if not places:
            return {}
        likely = self.probabilities(logits[places], None if seen is None else seen[places])
        wide = torch.float64
        numbers = [torch.rand((), generator=generators[place], dtype=wide) for place in places]
        drawn = invert(likely, torch.stack(numbers).to(likely.device)).tolist()
        return dict(zip(places, drawn, strict=True))


def penalise(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Make the tokens that were there less likely: logits above 0 are divided, others multiplied.

    Source:
        Keskar et al. (2019), https://arxiv.org/abs/1909.05858, section 4.1, which divides all; a
        logit below 0 would rise by that.
    """
    less = torch.where(logits > 0, logits / penalty, logits * penalty)
    return torch.where(seen, less, logits)


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Shut out all but the ``k`` most probable tokens; those as probable as the last stay too.

    Source:
        Fan, Lewis & Dauphin (2018), https://arxiv.org/abs/1805.04833, section 5.4
    """
    last = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    return logits.masked_fill(logits < last, -torch.inf)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Shut out all but the fewest most probable tokens whose probabilities reach ``p``.

    Source:
        Holtzman et al. (2020), https://arxiv.org/abs/1904.09751, section 3.1
    """
    ordered, places = logits.sort(dim=-1, descending=True, stable=True)
    likely = ordered.softmax(-1)
    reached = likely.cumsum(-1) - likely >= p  # by those before it
    return logits.masked_fill(torch.zeros_like(reached).scatter(-1, places, reached), -torch.inf)


def keep_min_p(logits: Tensor, share: float) -> Tensor:
    """Shut out tokens less than ``share`` times as probable as the most probable one.

    Source:
        Nguyen et al. (2024), https://arxiv.org/abs/2407.01082, section 3
    """
    likely = logits.softmax(-1)
    return logits.masked_fill(likely < share * likely.amax(-1, keepdim=True), -torch.inf)


def invert(probabilities: Tensor, numbers: Tensor) -> Tensor:
    """Return the first token up to which the probabilities add up to more than a number.

    Args:
        probabilities: (batch, vocabulary).
        numbers: (batch,), from 0 to less than 1.
    """
    sums = probabilities.cumsum(-1)
    passed = (sums > numbers[:, None] * sums[:, -1:]).int()
    return passed.argmax(-1)


def sample(
    model: Steps,
    prompts: Sequence[Sequence[int]],
    tellings: Sequence[Telling],
    sampling: Sampling,
    barred: Sequence[int] = (),
) -> Iterator[tuple[int, str]]:
    """Go on with every prompt, and yield (number of the prompt, piece of its text) as they come.

    Each row goes through its own prompt and then writes, while others still read theirs: there is
    no padding. Each draws from its own generator, made of the seed, so that a prompt is gone on
    with as it is alone. Rows that are over leave the batch.

    Args:
        model: What gives the logits of the next token.
        prompts: One or more tokens each.
        tellings: For each prompt, what makes text of its tokens and says when it is over.
        sampling: How a token is chosen.
        barred: Tokens that are never written.
    """
    rows, carry = list(range(len(prompts))), begin(model, prompts)
    device = next(iter(carry.values())).device
    generators = [torch.Generator().manual_seed(sampling.seed) for _ in prompts]
    now = [prompt[0] for prompt in prompts]
    seen: Tensor | None = None
    for read in count(1):
        words = torch.tensor(now, device=device)
        logits, carry = step(model, words, carry, barred)
        if sampling.repetition_penalty != 1:
            seen = torch.zeros_like(logits, dtype=torch.bool) if seen is None else seen
            seen[torch.arange(len(rows), device=device), words] = True
        writing = [place for place, row in enumerate(rows) if len(prompts[row]) <= read]
        drawn = sampling.draw(logits, seen, [generators[row] for row in rows], writing)
        now = [drawn[p] if p in drawn else prompts[row][read] for p, row in enumerate(rows)]
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
    """Return what the first step of every prompt starts from."""
    first = torch.tensor([prompt[:1] for prompt in prompts])
    return model.begin(Batch(inputs={TOKENS: first}))


@torch.no_grad()
def step(model: Steps, tokens: Tensor, carry: Carry, barred: Sequence[int]) -> tuple[Tensor, Carry]:
    """Take one token of every row; return the logits of the next, and the state after it."""
    logits, carry = model.step({TOKENS: tokens}, carry)
    return logits.index_fill(-1, tokens.new_tensor(barred, dtype=torch.long), -torch.inf), carry


class Continued:
    """A model that has read the prompt of its one row and writes on, as ``beam_search`` asks it.

    Args:
        model: What gives the logits of the next token.
        prompt: All but its last token are read at the beginning, the last is the start.
        barred: Tokens that are never written.
    """

    def __init__(self, model: Steps, prompt: Sequence[int], barred: Sequence[int] = ()) -> None:
        self.model, self.prompt, self.barred = model, prompt, barred

    def begin(self, batch: Batch) -> Carry:
        """Return the state before the last token of the prompt."""
        carry = begin(self.model, [self.prompt])
        device = next(iter(carry.values())).device
        for token in self.prompt[:-1]:
            _, carry = step(self.model, torch.tensor([token], device=device), carry, ())
        return carry

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Tensor, Carry]:
        """Take one token of every beam."""
        return step(self.model, inputs[DECODER], carry, self.barred)
