"""Continuation: texts are written one token at a time, many prompts together."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, takewhile
from typing import NamedTuple

import torch
from torch import Tensor

from ensuite.core.batch import DECODER, Batch, Carry
from ensuite.decoding.constrain import Guide, keep_allowed
from ensuite.decoding.interfaces import LanguageModel, Steps, select_rows
from ensuite.decoding.sampling import Sampling, Used
from ensuite.decoding.streaming import TextStreamer

TOKENS = "tokens"
"""The input field of a language model."""

LEAST_SHARED = 16
"""Fewest tokens that prompts must share at their beginning to be read once for all of them."""


class GeneratedToken(NamedTuple):
    """A token that was written.

    Attributes:
        row: Number of the prompt that it continues.
        text: The text that is certain now and was not before; may be empty.
        token: Its id.
        log_probability: Of the token, in nats, under the model as it is: before temperature,
            penalties and everything else that changes what is drawn.
    """

    row: int
    text: str
    token: int
    log_probability: float


def sample(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    streamers: Sequence[TextStreamer],
    sampling: Sampling,
    *,
    suppressed: Sequence[int] = (),
    context: int | None = None,
    seeds: Sequence[int] | None = None,
    guides: Sequence[Guide] = (),
) -> Iterator[GeneratedToken]:
    """Continue every prompt, and yield its tokens as they are written.

    What all prompts begin with is read once, and the rest in one pass up to the last token of the
    shortest. From there each row takes the rest of its own prompt and then writes, while others
    still read: there is no padding.
    Each row draws from its own generator, so that its continuation is that of the prompt alone.
    Finished rows leave the batch.

    Args:
        model: Gives the logits of the next token.
        prompts: One or more tokens each.
        streamers: One for each prompt; it decodes the tokens and says when the text is over.
        sampling: How a token is chosen.
        suppressed: Tokens that are never written.
        context: Most positions that the model reads at once; None: any number.
        seeds: Of the generator of each row. None: that of ``sampling``.
        guides: Of each row, where texts must keep to a grammar.
    """
    if not prompts:
        return
    texts, rows = [list(prompt) for prompt in prompts], list(range(len(prompts)))
    seeds = [sampling.seed] * len(prompts) if seeds is None else seeds
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    reading, never = Reading(model, context), torch.tensor(suppressed, dtype=torch.long)
    used: Used | None = None
    for taken in count(min(map(len, prompts))):
        logits = reading.read([texts[row] for row in rows], taken)
        writing = [place for place, row in enumerate(rows) if len(texts[row]) == taken]
        mine, raw = [rows[place] for place in writing], logits[writing]
        if sampling.penalises and used is None:
            used = Used.of(prompts, logits.shape[-1])
        possible = raw.index_fill(-1, never, -torch.inf)
        if guides and mine:
            possible = keep_allowed(possible, [guides[row] for row in mine])
        own = None if used is None else used.pick(mine)
        drawn = sampling.draw(possible, own, [generators[row] for row in mine]) if mine else []
        for row, token, cost in zip(mine, drawn, costs(raw, drawn), strict=True):
            texts[row].append(token)
            if used is not None:
                used.add(row, token)
            if guides:
                guides[row].take(token)
            yield GeneratedToken(row, streamers[row].take(token), token, -cost)
        going = [place for place, row in enumerate(rows) if not streamers[row].finished]
        if not going:
            return
        if len(going) < len(rows):
            reading.keep(going)
            rows = [rows[place] for place in going]


def costs(logits: Tensor, tokens: Sequence[int]) -> list[float]:
    """Return the cross-entropy of one token of each row, in nats."""
    if not tokens:
        return []
    chosen = logits.gather(-1, torch.tensor(tokens, device=logits.device)[:, None])[:, 0]
    found: list[float] = (logits.float().logsumexp(-1) - chosen).tolist()
    return found


class Reading:
    """Rows of tokens that a model reads side by side, all equally far.

    Where its context is full, the later half is read anew, as the beginning of a text.

    Args:
        model: Gives the logits of the next token.
        context: Most positions that it reads at once; None: any number.
    """

    def __init__(self, model: LanguageModel, context: int | None = None) -> None:
        self.model, self.context = model, context
        self.start = self.taken = 0
        self.carry: Carry | None = None

    def read(self, texts: Sequence[Sequence[int]], stop: int) -> Tensor:
        """Read each text up to ``stop``; return the logits of what comes next, on the CPU."""
        start = first_read(stop, self.context)
        if self.carry is None or start != self.start:
            shared, taken = begin_together(self.model, [text[start:stop] for text in texts])
            self.start, self.taken = start, start + taken
            self.carry = repeat(shared, len(texts))
        device = next(iter(self.carry.values())).device
        new = torch.tensor([text[self.taken : stop] for text in texts], device=device)
        self.taken = stop
        with torch.no_grad():
            if new.shape[1] == 1:
                logits, self.carry = self.model.step({TOKENS: new[:, 0]}, self.carry)
            else:
                logits, self.carry = self.model.read(Batch(inputs={TOKENS: new}), self.carry)
        next_logits: Tensor = logits.cpu()
        return next_logits

    def keep(self, places: Sequence[int]) -> None:
        """Drop all rows but those at some places."""
        assert self.carry is not None, "nothing was read yet"
        device = next(iter(self.carry.values())).device
        self.carry = select_rows(self.carry, torch.tensor(places, device=device))


def first_read(stop: int, context: int | None) -> int:
    """Return the first token that is seen when the tokens up to ``stop`` are read.

    It depends on how many there are and on nothing else, so that a text is continued in the same
    way however it came about.

    >>> [first_read(stop, 4) for stop in (1, 4, 5, 6, 7)]
    [0, 0, 2, 2, 4]
    """
    if context is None or stop <= context:
        return 0
    step = context - context // 2
    return -(-(stop - context) // step) * step


@torch.no_grad()
def begin(model: Steps, prompts: Sequence[Sequence[int]]) -> Carry:
    """Return the state before the first token of every prompt."""
    first = torch.tensor([prompt[:1] for prompt in prompts])
    return model.begin(Batch(inputs={TOKENS: first}))


@torch.no_grad()
def begin_together(model: LanguageModel, prompts: Sequence[Sequence[int]]) -> tuple[Carry, int]:
    """Read the tokens with which all prompts begin, once for all of them.

    Returns:
        The state after these tokens, of one row, and their number. At least one token of each
        prompt is left to read.
    """
    carry, count = begin(model, prompts[:1]), shared_length(prompts)
    if len(prompts) == 1 or count < LEAST_SHARED:
        return carry, 0
    device = next(iter(carry.values())).device
    tokens = torch.tensor([list(prompts[0][:count])], device=device)
    return model.read(Batch(inputs={TOKENS: tokens}), carry)[1], count


def shared_length(prompts: Sequence[Sequence[int]]) -> int:
    """Return the number of tokens that all prompts begin with, before the last of the shortest.

    >>> [shared_length(prompts) for prompts in ([[1, 2, 3], [1, 2, 4]], [[1, 2], [1, 2]], [[1]])]
    [2, 1, 0]
    """
    shortest = min(map(len, prompts))
    columns = zip(*(prompt[: shortest - 1] for prompt in prompts), strict=True)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def repeat(carry: Carry, rows: int) -> Carry:
    """Return a carry with its one row repeated."""
    device = next(iter(carry.values())).device
    return select_rows(carry, torch.zeros(rows, dtype=torch.long, device=device))


class Continued:
    """A model in the state after a prompt, as ``beam_search`` asks it to write.

    Args:
        model: Gives the logits of the next token.
        prompt: The tokens of the one row. The last of them is the start of the search.
        suppressed: Tokens that are never written.
    """

    def __init__(
        self, model: LanguageModel, prompt: Sequence[int], suppressed: Sequence[int] = ()
    ) -> None:
        self.model, self.prompt, self.suppressed = model, prompt, suppressed

    @torch.no_grad()
    def begin(self, batch: Batch) -> Carry:
        """Return the state before the last token of the prompt."""
        carry = begin(self.model, [self.prompt])
        if len(self.prompt) == 1:
            return carry
        device = next(iter(carry.values())).device
        tokens = torch.tensor([list(self.prompt[:-1])], device=device)
        return self.model.read(Batch(inputs={TOKENS: tokens}), carry)[1]

    @torch.no_grad()
    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Tensor, Carry]:
        """Take one token of every beam; return the logits of the next one."""
        words = inputs[DECODER]
        logits, carry = self.model.step({TOKENS: words}, carry)
        suppressed = words.new_tensor(self.suppressed, dtype=torch.long)
        return logits.index_fill(-1, suppressed, -torch.inf), carry
