"""Text generation: prompts to texts, token by token or by beam search."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch

from ensuite.core.batch import Batch
from ensuite.core.errors import UsageError
from ensuite.data.processors.writing import Writing
from ensuite.decoding.beam import beam_search
from ensuite.decoding.constrain import Guide, Spelling
from ensuite.decoding.continuation import Continued, GeneratedToken, sample
from ensuite.decoding.interfaces import LanguageModel
from ensuite.decoding.sampling import Sampling
from ensuite.decoding.streaming import FinishReason, TextStreamer, cut

Prompt = str | Sequence[int]
"""What a language model continues: a text, or its tokens."""

Reason = FinishReason | Literal["context"]
"""Why a text is finished: beside the other reasons, because the model reads no more tokens."""


class Completion(NamedTuple):
    """What was written after a prompt.

    Attributes:
        text: Without the prompt, the end and the stop text.
        tokens: The ids that were written; where the model ended the text, the end is the last.
        log_probabilities: Of each of them, in nats, under the model as it is, before temperature
            and penalties. None after a beam search.
        finish_reason: Why it is finished: the model ended it (end), it came to a stop text (stop),
            it has as many tokens as were asked for (length), or as the model reads (context).
    """

    text: str
    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...] | None
    finish_reason: Reason


@dataclass(frozen=True)
class TextGenerator:
    """A language model with its tokenizer, which continues prompts.

    Args:
        writing: Turns tokens into text.
        encode: Turns the text of a prompt into tokens, the beginning of a text included.
        model: Gives the logits of the next token.
        context: Most positions that the model reads at once; None: any number.
    """

    writing: Writing
    encode: Callable[[str], list[int]]
    model: LanguageModel
    context: int | None = None

    def stream(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        say: Callable[[str], object] | None = None,
    ) -> Iterator[tuple[int, str]]:
        """Continue prompts, and yield (number of the prompt, piece of its text) as they come.

        A text that is found by beam search comes in one piece.

        Args:
            prompts: Texts to continue, empty for the beginning of a text; or their tokens.
            sampling: How the next token is chosen, and when a text ends.
            say: Called with a sentence after texts that are longer than the context, or had to end
                there, or before they followed a pattern or schema to its end.

        Raises:
            UsageError: If a prompt is too long.
        """
        read = [self._tokens(prompt, sampling) for prompt in prompts]
        if sampling.beam is not None:
            found = self._search(read, sampling, sampling.beam)
            return ((number, each.text) for number, each in enumerate(found))
        return self._pieces(read, sampling, say or (lambda sentence: None))

    def complete(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> list[Completion]:
        """Continue prompts, and return the whole text of each with its tokens.

        Args:
            prompts: As for :meth:`stream`.
            sampling: As for :meth:`stream`.
            seeds: Of the random numbers of each text. None: all have that of ``sampling``.

        Raises:
            UsageError: If a prompt is too long.
        """
        read = [self._tokens(prompt, sampling) for prompt in prompts]
        if sampling.beam is not None:
            return list(self._search(read, sampling, sampling.beam))
        streamers = self._streamers(read, sampling)
        generated: list[list[GeneratedToken]] = [[] for _ in prompts]
        for each in self._sample(
            read, streamers, self._guides(len(read), sampling), sampling, seeds
        ):
            generated[each.row].append(each)
        return [
            Completion(
                "".join(each.text for each in tokens),
                tuple(each.token for each in tokens),
                tuple(each.log_probability for each in tokens),
                _reason(streamer, sampling),
            )
            for tokens, streamer in zip(generated, streamers, strict=True)
        ]

    def _pieces(
        self,
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        say: Callable[[str], object],
    ) -> Iterator[tuple[int, str]]:
        """Yield the pieces of texts that are drawn token by token; see :meth:`stream`."""
        streamers = self._streamers(prompts, sampling)
        guides = self._guides(len(prompts), sampling)
        for row, text, _, _ in self._sample(prompts, streamers, guides, sampling):
            if text:
                yield row, text
        if not all(guide.whole for guide in guides):
            say("A text ended before it followed the whole pattern or schema; allow more tokens.")
        self._say_context(prompts, streamers, sampling, say)

    def _say_context(
        self,
        prompts: Sequence[Sequence[int]],
        streamers: Sequence[TextStreamer],
        sampling: Sampling,
        say: Callable[[str], object],
    ) -> None:
        """Say whether texts ended where the context is full, or went on past it."""
        context = self.context
        if context is None:
            return
        if any(_reason(streamer, sampling) == "context" for streamer in streamers):
            say(
                f"A text ended where it has {context:,} tokens with its prompt, as many as the "
                "model reads at once; with --slide (slide=True) it goes on."
            )
        pairs = zip(prompts, streamers, strict=True)
        if any(len(prompt) + streamer.tokens > context for prompt, streamer in pairs):
            say(
                f"A text is longer than the {context:,} tokens that the model reads at once: from "
                f"there on it saw the last {context // 2:,} to {context:,} of them."
            )

    def _sample(
        self,
        prompts: Sequence[Sequence[int]],
        streamers: Sequence[TextStreamer],
        guides: Sequence[Guide],
        sampling: Sampling,
        seeds: Sequence[int] | None = None,
    ) -> Iterator[GeneratedToken]:
        return sample(
            self.model, prompts, streamers, sampling,
            suppressed=self.writing.suppressed, context=self.context, seeds=seeds, guides=guides,
        )  # fmt: skip

    def _search(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling, beam: int
    ) -> Iterator[Completion]:
        """Find a probable text for each prompt by beam search."""
        writing = self.writing
        for ids in prompts:
            longest = self._room(ids, sampling)
            (found,) = beam_search(
                Continued(self.model, ids, writing.suppressed),
                Batch(inputs={"tokens": torch.tensor([ids])}),
                start=ids[-1], end=writing.end, longest=longest, beam=beam,
            )  # fmt: skip
            text, _, stopped = cut(writing.decode_piece(found.tokens), sampling.stop, whole=True)
            reason: Reason = "stop" if stopped else "end"
            if len(found.tokens) >= longest and not stopped:
                reason = "length" if longest == sampling.max_new_tokens else "context"
            yield Completion(text, tuple(found.tokens), None, reason)

    def _streamers(
        self, prompts: Sequence[Sequence[int]], sampling: Sampling
    ) -> list[TextStreamer]:
        """Return what decodes the continuation of each prompt, and says when it is finished."""
        decode, end = self.writing.decode_piece, self.writing.end
        rooms = [self._room(ids, sampling) for ids in prompts]
        return [TextStreamer(decode, end, room, sampling.stop) for room in rooms]

    def _guides(self, count: int, sampling: Sampling) -> list[Guide]:
        """Return what keeps each of so many texts to a grammar; nothing where there is none."""
        if sampling.grammar is None:
            return []
        writing = self.writing
        spelling = Spelling(writing.spelled_tokens, writing.end, writing.encode_marked)
        return [Guide(sampling.grammar, spelling) for _ in range(count)]

    def _tokens(self, prompt: Prompt, sampling: Sampling) -> list[int]:
        """Return the tokens of a prompt, the beginning of a text included."""
        ids = self.encode(prompt) if isinstance(prompt, str) else list(prompt)
        if self.context is not None and len(ids) >= self.context and not sampling.slide:
            raise UsageError(
                f"The prompt has {len(ids):,} tokens, its beginning included, and the model reads "
                f"{self.context:,} at most; give a shorter one, or allow it to slide over the text "
                "(slide=True, --slide)."
            )
        return ids

    def _room(self, prompt: Sequence[int], sampling: Sampling) -> int:
        """Return how many tokens may be written after a prompt."""
        if self.context is None or sampling.slide:
            return sampling.max_new_tokens
        return min(sampling.max_new_tokens, self.context - len(prompt))


def _reason(streamer: TextStreamer, sampling: Sampling) -> Reason:
    """Return why a text is finished."""
    assert streamer.finish_reason is not None, "every text was written to its end"
    full = streamer.finish_reason == "length" and streamer.longest < sampling.max_new_tokens
    return "context" if full else streamer.finish_reason
