"""Language modelling: the stream, its lanes, what a state carries, what a text costs."""

from dataclasses import replace
from itertools import pairwise
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import Tensor

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Carry
from ensuite.core.errors import DataError, UsageError
from ensuite.core.model import Model
from ensuite.core.table import Table
from ensuite.data.processors.writing import Writing
from ensuite.decoding.sampling import Sampling
from ensuite.models.gpt import GPTOptions
from ensuite.models.recurrent import RecurrentOptions
from ensuite.tasks.generate import Example, Generate, Prediction
from ensuite.training.evaluate import predict

EDGE = 2
CHARACTERS = Writing(unit="characters")
TEXTS = ["the cat sat", "on the mat", "", "and so on"]
DOCUMENTS = [Example(text, number) for number, text in enumerate(TEXTS)]
TASK = Generate(writing=CHARACTERS, chunk=4).prepare(DOCUMENTS)


def build(task: Generate, **options: Any) -> Model:
    torch.manual_seed(0)
    backbone = RecurrentOptions(width=8, embedding=6, dropout=0.0, **options).build(task.inputs)
    return Model(backbone, task.head(backbone)).eval()


def prose(text: str, task: Generate = TASK) -> tuple[Generate, list[Example]]:
    lines = text.splitlines()
    table = Table("song.txt", {"text": lines}, rows=len(lines), prose=True)
    read, examples = task.read(table, {})
    return read.prepare(examples), examples


def test_the_lines_of_a_text_are_one_document() -> None:
    task, examples = prose("one\n\ntwo\n")
    assert examples[1] == Example("\n", line=1, ends=False)
    stream = task.stream(examples)
    assert task.writing.decode_piece(stream.targets.tolist()) == "one\n\ntwo\n"
    assert stream.tokens[0] == EDGE
    assert set(stream.documents) == {0}
    assert [task.keys(each).time for each in examples] == [0, 1, 2]
    assert (task.unit, TASK.keys(DOCUMENTS[0]).time) == ("line", None)


def test_each_row_of_a_table_is_a_document_with_an_edge_on_either_side() -> None:
    stream = TASK.stream(DOCUMENTS)
    assert (stream.tokens == EDGE).sum() == len(TEXTS)
    assert (stream.targets == EDGE).sum() == len(TEXTS)
    for number, text in enumerate(TEXTS):
        (places,) = np.nonzero(stream.documents == number)
        assert TASK.writing.decode_piece(stream.tokens[places].tolist()) == text
        if text:
            assert TASK.writing.decode_piece(stream.targets[places].tolist()) == text


@given(some.integers(1, 60), some.integers(1, 9), some.integers(0, 3), some.integers(0, 3))
def test_an_epoch_reads_every_chunk_once_each_lane_in_order(
    chunks: int, size: int, epoch: int, seed: int
) -> None:
    task = replace(TASK, chunk=1, lines=True)
    items = task.items([Example("a" * chunks, ends=False)])
    batches = task.order(items, size, epoch, seed)
    numbers = [[number % chunks for number in batch] for batch in batches]
    assert sorted(n for batch in numbers for n in batch) == list(range(chunks))
    for before, after in pairwise(numbers):
        assert len(after) <= len(before) <= size
        assert all((b - a) % chunks == 1 for a, b in zip(before, after, strict=False))


@given(some.integers(1, 60), some.integers(1, 9))
def test_an_evaluation_reads_every_chunk_and_what_stands_before_it(chunks: int, size: int) -> None:
    items = replace(TASK, chunk=1).items([Example("a" * chunks, ends=False)])
    batches = TASK.order(items, size)
    assert {number for batch in batches for number in batch} == set(range(chunks))
    for lane, first in enumerate(batches[0]):
        own = [batch[lane] for batch in batches if lane < len(batch)]
        assert own == list(range(first, first + len(own)))


def test_now_and_then_a_chunk_of_one_long_text_is_its_beginning() -> None:
    task = replace(TASK, chunk=2, lines=True)
    items = task.items([Example("abcdef" * 200, ends=False)])
    numbers = [n for batch in task.order(items, 8, seed=0) for n in batch]
    begun = [n for n in numbers if n >= len(items)]
    assert 0.01 < len(begun) / len(numbers) < 0.1
    plain, fresh = items[3], items[3 + len(items)]
    assert fresh.tokens[0] == EDGE
    assert fresh.tokens[1:].tolist() == plain.tokens[1:].tolist()
    assert fresh.targets.tolist() == plain.targets.tolist()
    assert fresh.documents[0] != plain.documents[0]
    with pytest.raises(IndexError):
        items[2 * len(items)]


# Truncated back-propagation through time


def read_chunks(task: Generate, model: Model, examples: list[Example]) -> list[Tensor]:
    """Return the loss of each chunk, one lane, the state handed on detached as training does."""
    losses, carry = [], None
    for item in task.items(examples):
        batch = task.collate([item]).after(carry)
        outputs = model(batch)
        carry = {name: part.detach() for name, part in outputs.states.carry.items()}
        losses.append(task.loss(outputs, batch).value)
    return losses


def test_a_gradient_stops_where_a_chunk_does() -> None:
    """The course's inputs of an earlier chunk have no part in the gradient of a later loss."""
    model = build(TASK)
    seen: list[Tensor] = []

    def keep(module: Any, inputs: Any, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    model.backbone.readers[0].register_forward_hook(keep)
    losses = read_chunks(TASK, model, [Example("the cat sat on", ends=False)])
    losses[2].backward()
    assert [each.grad is None or not each.grad.any() for each in seen[:3]] == [True, True, False]
    assert losses[2].item() != pytest.approx(read_alone(model).item())  # yet the state came along


def read_alone(model: Model) -> Tensor:
    batch = TASK.collate([TASK.items([Example("the cat sat on", ends=False)])[2]])
    return TASK.loss(model(batch), batch).value


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_state_handed_on_equals_reading_at_once(cell: Any) -> None:
    model, whole = build(TASK, cell=cell), replace(TASK, chunk=1000)
    for examples in (DOCUMENTS, [Example("the cat sat on the mat", ends=False)]):
        with torch.no_grad():
            pieces = sum(read_chunks(TASK, model, examples))
            (once,) = read_chunks(whole, model, examples)
        torch.testing.assert_close(pieces, once)


def test_a_document_is_read_as_if_it_stood_alone() -> None:
    model = build(TASK)
    together = predict(TASK, model, DOCUMENTS)
    alone = [predict(TASK, model, [each])[0] for each in DOCUMENTS]
    assert [a.bits for a in together] == pytest.approx([b.bits for b in alone], abs=1e-4)


def test_a_stream_is_read_in_constant_memory() -> None:
    model, sizes = build(TASK), set()
    carry: Carry = model.begin(Batch(inputs={"tokens": torch.ones(1, 1, dtype=torch.long)}))
    with torch.inference_mode():
        for number in range(3000):
            _, carry = model.step({"tokens": torch.tensor([3 + number % 5])}, carry)
            sizes.add(
                tuple((name, part.untyped_storage().nbytes()) for name, part in carry.items())
            )
    assert len(sizes) == 1


# What a text costs


def test_bits_are_the_negative_logarithm_of_the_probability() -> None:
    model, text = build(TASK), "the mat"
    (found,) = predict(TASK, model, [Example(text)])
    ids = [EDGE, *TASK.writing.encode([text])[0].tolist(), EDGE]
    batch = Batch(inputs={"tokens": torch.tensor([ids[:-1]])})
    with torch.no_grad():
        likely = model(batch).values[0].softmax(-1)
    expected = -sum(log2(likely[place, token]) for place, token in enumerate(ids[1:]))
    assert found == (pytest.approx(expected, abs=1e-4), len(text) + 1, len(text))


def test_what_a_token_does_not_tell_costs_eight_bits_a_byte() -> None:
    task = Generate(writing=Writing(unit="words")).prepare(DOCUMENTS)
    model = build(task)
    (short,) = predict(task, model, [Example("é", ends=False)])
    (long,) = predict(task, model, [Example("€", ends=False)])
    assert (long.bytes, short.bytes) == (3, 2)
    assert long.bits - short.bits == pytest.approx(8, abs=1e-5)


def test_the_metrics_weigh_bytes_and_tokens() -> None:
    task = replace(TASK, chunk=64)
    scores = task.score(predict(task, build(task), DOCUMENTS), DOCUMENTS)
    costs = predict(task, build(task), DOCUMENTS)
    bits, tokens, size = (sum(column) for column in zip(*costs, strict=True))
    assert scores["bits_per_byte"].value == pytest.approx(bits / size)
    assert scores["perplexity"].value == pytest.approx(2 ** (bits / tokens))
    assert not any(score.higher_is_better for score in scores.values())


def test_scores_can_be_read_from_the_vectors_of_the_tokens() -> None:
    model = build(TASK, tied=True)
    assert model.head.weight is None
    assert model.backbone.token_embedding is model.backbone.readers[0]
    names = [name for name, part in model.named_parameters() if TASK.writing.size in part.shape]
    assert sorted(names) == ["backbone.readers.0.weight", "head.bias"]
    assert build(TASK).backbone.token_embedding is None


# Writing


def write(task: Generate, model: Any, prompts: list[str], **options: Any) -> list[str]:
    texts = [""] * len(prompts)
    for number, piece in task.generator(model).stream(prompts, Sampling(**options)):
        texts[number] += piece
    return texts


def test_prompts_together_are_gone_on_with_as_alone() -> None:
    model, prompts = build(TASK), ["the cat", "", "a", "on the mat and so on"]
    how = {"max_new_tokens": 30}
    together = write(TASK, model, prompts, **how)
    assert together == [write(TASK, model, [prompt], **how)[0] for prompt in prompts]
    assert any(together)


@pytest.mark.parametrize("options", [{}, {"positions": "learned", "norm": "layer"}])
@pytest.mark.parametrize("lanes", [True, False])
def test_texts_asked_about_together_cost_what_they_do_alone(
    lanes: bool, options: dict[str, Any]
) -> None:
    task = replace(TASK, lanes=lanes, chunk=16)
    model = build(task) if lanes else Model.build(replace(GPTOptions().tiny(), **options), task)
    asked = [task.ask(text) for text in ("the cat sat", "a", "on the mat and so on", "the cat")]
    together = predict(task, model.eval(), asked)
    alone = [predict(task, model, [each])[0] for each in asked]
    assert [each.tokens for each in together] == [each.tokens for each in alone]
    assert [e.bits for e in together] == pytest.approx([e.bits for e in alone], rel=1e-4)


def test_a_beam_finds_a_text_at_least_as_probable_as_greedy_decoding() -> None:
    model = build(TASK)
    texts = [write(TASK, model, ["the "], max_new_tokens=6, **how)[0]
             for how in ({"temperature": 0.0}, {"beam": 8})]  # fmt: skip
    greedy, found = predict(TASK, model, [Example("the " + t, ends=False) for t in texts])
    assert found.bits <= greedy.bits + 1e-4 or len(texts[0]) != len(texts[1])


def test_a_character_that_training_lacks_is_read_and_costs_what_its_bytes_cost() -> None:
    model = build(TASK)
    texts = write(TASK, model, ["L'été\u00a0: \U0001f600", "the"], max_new_tokens=8, seed=1)
    assert texts[1] == write(TASK, model, ["the"], max_new_tokens=8, seed=1)[0]
    assert not any("\ufffd" in text for text in texts)  # bytes were never learned: none is written
    (found,) = predict(TASK, model, [Example("é\U0001f600", ends=False)])
    assert (found.tokens, found.bytes) == (6, 6)  # each byte is a token that is foretold
    assert 0 < found.bits < float("inf")


def test_words_that_are_unknown_are_read_as_such() -> None:
    task = Generate(writing=Writing(unit="words")).prepare(DOCUMENTS)
    (text,) = write(task, build(task), ["zebra"], max_new_tokens=5)
    assert "[UNK]" not in text


def test_a_prompt_longer_than_the_context_is_refused() -> None:
    with pytest.raises(UsageError, match=r"The prompt has 8 tokens.* reads 8 at most"):
        TASK.generator(build(TASK), 8).stream(["the cat"], Sampling())
    pieces = TASK.generator(build(TASK), 10).stream(["the cat"], Sampling(temperature=3.0))
    assert len("".join(piece for _, piece in pieces)) <= 2


def test_a_cell_without_a_text_is_named() -> None:
    table = Table("songs.csv", {"text": ["a", None]}, rows=2)
    with pytest.raises(DataError, match=r"row 2 of songs\.csv: None is not a text"):
        TASK.read(table, {})


def test_the_check_says_how_the_text_is_read() -> None:
    task, examples = prose("one\ntwo\n")
    text, chunks = task.check({"train": examples})
    assert text.sentence == "8 bytes, 8 characters of 9 kinds"
    assert chunks.sentence == (
        "2 of 4 characters to learn from, in lanes: the state is handed from chunk to chunk and "
        "starts anew with a document, gradients stop where a chunk ends"
    )


def test_a_blank_line_is_not_the_worst_mistake() -> None:
    blank, line = Prediction(9.0, 1, 1), Prediction(150.0, 60, 60)
    assert TASK.error(blank, DOCUMENTS[0]) < TASK.error(line, DOCUMENTS[0])


def test_only_lines_that_say_something_can_be_duplicates() -> None:
    task, examples = prose("one\n\none\n")
    again = prose("one\n\n")[1]
    assert task.keys(examples[0]).identity == task.keys(again[0]).identity
    assert task.keys(examples[0]).identity != task.keys(examples[2]).identity
    assert task.keys(examples[1]).identity != task.keys(again[1]).identity


def test_lines_are_resampled_in_blocks_and_documents_are_not() -> None:
    task, examples = prose("one\n" * 64)
    assert task.blocks(examples) == [number // 4 for number in range(64)]
    assert TASK.blocks(DOCUMENTS) is None


def test_a_published_model_brings_its_chat_template(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(TASK.writing.tokenizer, encoding="utf-8")
    pretrained = Pretrained(tmp_path, 64)
    bare = Generate.from_published({}, pretrained)
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    chatty = Generate.from_published({}, pretrained)
    assert bare is not None
    assert chatty is not None
    assert (bare.chat_template, chatty.chunk) == ("", 64)
    (asked,) = chatty.writing.decode_batch(
        [chatty.converse([{"role": "user", "content": "cat"}]).prompt]
    )
    assert asked == "cat"
    with pytest.raises(UsageError, match="has no chat template"):
        bare.converse([{"role": "user", "content": "cat"}])
    tuned = Generate().prepare(DOCUMENTS, GPTOptions(), pretrained)
    assert tuned.chat_template == chatty.chat_template


def test_special_tokens_of_a_template_are_tokens_and_nothing_stands_before_them() -> None:
    task = replace(TASK, chat_template="{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")
    prompt, stops = task.converse([{"role": "user", "content": "cat"}])
    assert (prompt[0], prompt[-1], len(prompt), stops) == (EDGE, EDGE, 5, ())
