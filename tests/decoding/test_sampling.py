"""Drawing the next token, and going on with prompts of unequal length."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from ensuite.core.batch import DECODER, Batch, Carry
from ensuite.core.errors import UsageError
from ensuite.decoding.beam import beam_search
from ensuite.decoding.continuation import Continued, first_read, sample
from ensuite.decoding.sampling import (
    Sampling,
    Used,
    invert,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise,
)
from ensuite.decoding.streaming import TextStreamer

LETTERS = "._abcd"
END = 0
LIKELY = torch.tensor([[0.1, 0.2, 0.4, 0.3]])


class Walk:
    """A model of six tokens whose state is the sum of all it has read."""

    def __init__(self) -> None:
        self.taken: list[int] = []  # how many tokens of a row at each call
        self.rows: list[int] = []  # how many rows at each call

    def begin(self, batch: Batch) -> Carry:
        return {"sum": torch.zeros(len(batch), 1)}

    def step(self, inputs: Mapping[str, Tensor], carry: Carry) -> tuple[Tensor, Carry]:
        return self.read(Batch(inputs={"tokens": inputs["tokens"][:, None]}), carry)

    def read(self, batch: Batch, carry: Carry) -> tuple[Tensor, Carry]:
        self.taken.append(batch.inputs["tokens"].shape[1])
        self.rows.append(len(batch))
        total = carry["sum"] + batch.inputs["tokens"].sum(1, keepdim=True)
        return torch.sin(total * torch.arange(1.0, 7.0)), {"sum": total}


def streamer(sampling: Sampling) -> TextStreamer:
    def decode(ids: Any) -> str:
        return "".join(LETTERS[token] for token in ids)

    return TextStreamer(decode, END, sampling.max_new_tokens, sampling.stop)


def write(prompts: list[list[int]], sampling: Sampling, **how: Any) -> list[str]:
    texts = [""] * len(prompts)
    streamers = [streamer(sampling) for _ in prompts]
    for row, piece, _, _ in sample(Walk(), prompts, streamers, sampling, **how):
        texts[row] += piece
    return texts


def kept(logits: Tensor) -> list[int]:
    return torch.isfinite(logits)[0].nonzero()[:, 0].tolist()


def test_top_k_keeps_the_most_probable() -> None:
    assert kept(keep_top_k(LIKELY.log(), 2)) == [2, 3]
    assert kept(keep_top_k(LIKELY.log(), 99)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("p", "tokens"), [(0.3, [2]), (0.65, [2, 3]), (0.75, [1, 2, 3])])
def test_top_p_keeps_the_fewest_that_reach_it(p: float, tokens: list[int]) -> None:
    assert kept(keep_top_p(LIKELY.log(), p)) == tokens


def test_min_p_is_a_share_of_the_most_probable() -> None:
    assert kept(keep_min_p(LIKELY.log(), 0.6)) == [2, 3]


def test_a_penalty_lowers_logits_on_both_sides_of_zero() -> None:
    logits, seen = torch.tensor([[2.0, -2.0, 2.0]]), torch.tensor([[True, True, False]])
    assert penalise(logits, seen, 2.0).tolist() == [[1.0, -4.0, 2.0]]


def test_temperature_sharpens_and_zero_is_greedy() -> None:
    logits = LIKELY.log()
    torch.testing.assert_close(Sampling().probabilities(logits), LIKELY.double())
    squared = LIKELY.double().square()
    half = Sampling(temperature=0.5).probabilities(logits)
    torch.testing.assert_close(half, squared / squared.sum(), atol=1e-6, rtol=0)
    assert Sampling(temperature=0).probabilities(logits).tolist() == [[0, 0, 1, 0]]


def test_numbers_of_numpy_are_numbers() -> None:
    given = Sampling(temperature=np.float32(0.5), top_k=np.int64(3))
    logits = LIKELY.log()
    expected = Sampling(temperature=0.5, top_k=3).probabilities(logits)
    torch.testing.assert_close(given.probabilities(logits), expected)


def test_without_prompts_nothing_is_written() -> None:
    assert write([], Sampling()) == []


def test_what_is_drawn_is_as_frequent_as_it_is_probable() -> None:
    numbers = torch.rand(20_000, dtype=torch.float64)
    drawn = invert(LIKELY.double().expand(len(numbers), -1), numbers)
    shares = drawn.bincount(minlength=4) / len(numbers)
    torch.testing.assert_close(shares, LIKELY[0], atol=0.015, rtol=0)


def test_a_token_without_probability_is_never_drawn() -> None:
    likely = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64).expand(2, -1)
    assert invert(likely, torch.tensor([0.0, 1 - 1e-12], dtype=torch.float64)).tolist() == [1, 1]


PROMPTS = some.lists(
    some.lists(some.integers(1, 5), min_size=1, max_size=6), min_size=1, max_size=5
)


@given(
    PROMPTS,
    some.builds(
        Sampling,
        temperature=some.sampled_from([0.0, 0.7, 1.5]),
        top_k=some.sampled_from([None, 3]),
        top_p=some.sampled_from([1.0, 0.8]),
        repetition_penalty=some.sampled_from([1.0, 1.3]),
        frequency_penalty=some.sampled_from([0.0, 0.5]),
        max_new_tokens=some.integers(1, 12),
        stop=some.sampled_from([(), ("a",), ("ab", "d_")]),
        seed=some.integers(0, 3),
    ),
    some.sampled_from([None, 1, 3, 4]),
)
def test_a_batch_of_prompts_gives_what_each_gives_alone(
    prompts: list[list[int]], sampling: Sampling, context: int | None
) -> None:
    together = write(prompts, sampling, context=context)
    assert together == [write([prompt], sampling, context=context)[0] for prompt in prompts]
    assert all(len(text) <= sampling.max_new_tokens for text in together)
    assert not any(stop in text for stop in sampling.stop for text in together)


@pytest.mark.parametrize(
    ("prompts", "taken"),
    [
        pytest.param([[1, 2, 3, 4, 5]], [5, 1], id="alone"),
        pytest.param([[1, 2, 3, 4, 5], [5, 4, 3, 2]], [4, 1, 1], id="unequal"),
        pytest.param([[1], [2, 3]], [1, 1, 1], id="one-token"),
    ],
)
def test_what_all_prompts_have_is_read_in_one_pass(
    prompts: list[list[int]], taken: list[int]
) -> None:
    model, sampling = Walk(), Sampling(max_new_tokens=2)
    list(sample(model, prompts, [streamer(sampling) for _ in prompts], sampling, suppressed=(END,)))
    assert model.taken == taken


def test_what_all_prompts_begin_with_is_read_once() -> None:
    """Such as the solved examples of a few-shot prompt, or one prompt that is continued thrice."""
    model, sampling, shared = Walk(), Sampling(max_new_tokens=1), [1, 2, 3, 4] * 5
    prompts = [[*shared, 5, 4], [*shared, 4, 4, 4], [*shared, 5, 5]]
    list(sample(model, prompts, [streamer(sampling) for _ in prompts], sampling, suppressed=(END,)))
    assert (model.taken, model.rows) == ([20, 2, 1], [1, 3, 1])
    again = Walk()
    list(sample(again, [shared] * 3, [streamer(sampling) for _ in range(3)], sampling))
    assert (again.taken, again.rows) == ([19, 1], [1, 3])


def test_prompts_with_a_shared_beginning_are_continued_as_each_alone() -> None:
    sampling, shared = Sampling(max_new_tokens=12), [1, 2, 3, 4] * 5
    prompts = [[*shared, 5, 4], [*shared, 4, 4, 4], shared]
    assert write(prompts, sampling) == [write([prompt], sampling)[0] for prompt in prompts]


def test_the_same_seed_the_same_text_another_another() -> None:
    def texts(seed: int) -> list[str]:
        return write([[2, 3]], Sampling(seed=seed, max_new_tokens=20))

    assert texts(0) == texts(0)
    assert len({texts(seed)[0] for seed in range(5)}) > 1


def test_each_row_may_have_a_seed_of_its_own() -> None:
    sampling = Sampling(seed=7, max_new_tokens=20)
    several = write([[2, 3]] * 3, sampling, seeds=[0, 1, 2])
    assert several == [write([[2, 3]], Sampling(seed=n, max_new_tokens=20))[0] for n in range(3)]


def test_the_probability_of_a_token_is_that_of_the_model_itself() -> None:
    """Whatever is drawn by: a sharper distribution, penalties, and tokens that are never drawn."""
    sampling = Sampling(temperature=0.3, repetition_penalty=2.0, max_new_tokens=6)
    total = 3
    for told in sample(Walk(), [[1, 2]], [streamer(sampling)], sampling, suppressed=(END,)):
        logits = torch.sin(total * torch.arange(1.0, 7.0))
        assert told.log_probability == pytest.approx(float(logits.log_softmax(0)[told.token]))
        total += told.token


def test_a_full_context_is_read_anew_from_its_later_half() -> None:
    """What a walk has summed up then is that of the last two to four tokens."""
    sampling, text = Sampling(temperature=0, max_new_tokens=12), [1, 2, 3]
    for told in sample(Walk(), [text[:]], [streamer(sampling)], sampling, context=4):
        seen = text[first_read(len(text), 4) :]
        assert len(seen) == min(len(text), 3 + (len(text) - 3) % 2)
        best = torch.sin(sum(seen) * torch.arange(1.0, 7.0)).argmax()
        assert told.token == best
        text.append(told.token)
        if told.token == END:
            break


@given(some.integers(1, 40), some.integers(1, 40))
def test_what_is_read_always_fits_and_is_at_least_half(stop: int, context: int) -> None:
    start = first_read(stop, context)
    assert 0 < stop - start <= context
    assert stop <= context or stop - start > context // 2 - (context == 1)
    assert start <= first_read(stop + 1, context)


def test_barred_tokens_are_never_written() -> None:
    sampling = Sampling(max_new_tokens=200, temperature=3.0)
    (text,) = write([[1]], sampling, suppressed=(END, 1))
    assert set(text) == set("abcd")
    assert len(text) == 200


def test_the_penalty_counts_the_prompt_and_what_was_written() -> None:
    model, tokens = Walk(), [1, 4]
    for _ in range(6):
        (logits,), _ = model.step(
            {"tokens": torch.tensor([sum(tokens)])}, {"sum": torch.zeros(1, 1)}
        )
        logits[END] = -torch.inf
        seen = torch.tensor([token in tokens for token in range(6)])
        tokens.append(int(penalise(logits, seen, 2.0).argmax()))
    sampling = Sampling(temperature=0, repetition_penalty=2.0, max_new_tokens=6)
    assert write([[1, 4]], sampling, suppressed=(END,)) == ["".join(LETTERS[t] for t in tokens[2:])]


def test_a_frequency_is_of_what_was_written() -> None:
    used = Used.of([[1, 1, 2], [0], [3]], 4)
    for _ in range(2):
        used.add(0, 2)
    used = used.pick([0, 2])
    assert used.written.tolist() == [[0, 0, 2, 0], [0, 0, 0, 0]]
    assert used.seen.tolist() == [[False, True, True, False], [False, False, False, True]]
    logits = torch.zeros(2, 4)
    likely = Sampling(frequency_penalty=1.5).probabilities(logits, used)
    expected = torch.tensor([[0.0, 0.0, -3.0, 0.0], [0.0] * 4], dtype=torch.float64)
    torch.testing.assert_close(likely, expected.softmax(-1))


def test_prompts_are_counted_once_and_then_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row draws as one whose tokens are counted anew at every step."""
    prompts = [[1, 4], [2, 3, 3, 5], [3]]
    sampling = Sampling(repetition_penalty=1.5, frequency_penalty=0.7, max_new_tokens=9)
    counted, count = [], Used.of
    monkeypatch.setattr(Used, "of", lambda *args: counted.append(args) or count(*args))
    together = write(prompts, sampling, seeds=[5, 6, 7])
    assert len(counted) == 1
    for prompt, text, seed in zip(prompts, together, (5, 6, 7), strict=True):
        generator, written = torch.Generator().manual_seed(seed), list[int]()
        while len(written) < 9 and END not in written:
            total = float(sum(prompt) + sum(written))
            logits = torch.sin(total * torch.arange(1.0, 7.0))[None].double()
            seen = torch.tensor([each in (*prompt, *written) for each in range(6)])
            times = torch.tensor([written.count(each) for each in range(6)])
            likely = (penalise(logits, seen, 1.5) - 0.7 * times).softmax(-1)
            number = torch.rand((1,), generator=generator, dtype=torch.float64)
            written.append(int(invert(likely, number)))
        assert text == "".join(LETTERS[each] for each in written if each != END)


def test_a_beam_goes_on_from_the_prompt() -> None:
    """A beam of one takes what greedy decoding takes; a wide one is at least as probable."""
    prompt = [2, 3, 1]
    model = Walk()
    Continued(model, prompt, (END,)).begin(Batch(inputs={}))
    assert model.taken == [2]  # the last token is the first that the search takes
    (greedy,) = write([prompt], Sampling(temperature=0, max_new_tokens=5), suppressed=(END,))

    def search(beam: int) -> Any:
        batch = Batch(inputs={DECODER: torch.tensor([prompt])})
        model = Continued(Walk(), prompt, (END,))
        return beam_search(model, batch, start=1, end=END, longest=5, beam=beam)[0]

    assert "".join(LETTERS[token] for token in search(1).tokens) == greedy
    assert search(8).score >= search(1).score


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"temperature": -0.1}, "temperature is -0.1; give 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"top_p": 0.0}, "top_p is 0.0; give more than 0, and 1 at most"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_k": 0}, "top_k is 0; give 1 or more"),
        ({"min_p": 2.0}, "min_p is 2.0; give 0 to 1"),
        ({"repetition_penalty": 0.0}, "repetition_penalty is 0.0; give more than 0"),
        ({"top_k": -3}, "top_k is -3; give 1 or more"),
        ({"top_k": 2.5}, "top_k is 2.5; give a whole number"),
        ({"temperature": "hot"}, "temperature is 'hot'; give a number"),
        ({"temperature": True}, "temperature is True; give a number"),
        ({"frequency_penalty": float("inf")}, "frequency_penalty is inf; give a finite number"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0; give 1 or more"),
        ({"max_new_tokens": 2**63}, "give 2,147,483,647 at most"),
        ({"stop": (3,)}, r"stop is \(3,\); give texts"),
        ({"beam": 2, "slide": True}, "give beam or slide, not both"),
        ({"beam": 0}, "beam is 0; give 1 or more"),
        ({"stop": ("a", "")}, "A stop text is empty"),
        ({"stop": ""}, "A stop text is empty"),
    ],
)
def test_what_no_text_can_be_drawn_by_is_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Sampling(**options)


def test_one_stop_text_needs_no_list() -> None:
    assert Sampling(stop="end").stop == ("end",)
