"""Checkpoints of decoders: transformers and ensuite open those of each other, with equal logits.

Logits differ by the rounding of float32 alone: queries, keys and values are one product here.
"""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor

import ensuite
from ensuite.core.batch import Batch, Tokens
from ensuite.core.files import write_json, write_tensors
from ensuite.core.model import Model
from ensuite.core.published import PublishedTask, rename
from ensuite.models.gpt import GPTOptions
from ensuite.nn.heads import TokenHead
from ensuite.specs import model_options

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers

CLOSE = {"rtol": 1e-4, "atol": 2e-6}

VOCABULARY, ROWS = 30, 32
"""Tokens of the tokenizer, and rows of the embedding."""

LLAMA = {
    "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 20,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "rms_norm_eps": 1e-3,
}  # fmt: skip
GPT2 = {"n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 32}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "gpt2": ("gpt2", GPT2),
    "gpt2-untied": ("gpt2", {**GPT2, "tie_word_embeddings": False, "n_inner": 40}),
    "llama": ("llama", {**LLAMA, "rope_theta": 500.0}),
    "llama-tied": ("llama", {**LLAMA, "tie_word_embeddings": True, "num_key_value_heads": 4}),
    "llama-stretched": ("llama", {**LLAMA, "rope_parameters": {
        "rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}}),
    "llama-3": ("llama", {**LLAMA, "head_dim": 12, "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 50.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}),
    "llama-wide-heads": ("llama", {**LLAMA, "head_dim": 8}),
    "mistral": ("mistral", {**LLAMA, "sliding_window": 5}),
    "mistral-whole": ("mistral", {**LLAMA, "sliding_window": None}),
    "qwen2": ("qwen2", LLAMA),
    "qwen2-tied": ("qwen2", {**LLAMA, "tie_word_embeddings": True}),
    "qwen3": ("qwen3", {**LLAMA, "head_dim": 6}),
}  # fmt: skip


def draw(time: int = 12) -> Tensor:
    return torch.randint(VOCABULARY, (3, time), generator=torch.Generator().manual_seed(5))


def invent(case: str) -> Any:
    """Return a model of transformers whose every weight is random."""
    model_type, sizes = CASES[case]
    config = transformers.AutoConfig.for_model(model_type, vocab_size=ROWS, **sizes)
    torch.manual_seed(0)
    theirs = transformers.AutoModelForCausalLM.from_config(config).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return theirs


def add_tokenizer(folder: Path) -> None:
    write_json(folder / "vocab.json", {})
    (folder / "merges.txt").write_text("", encoding="utf-8")


def build(options: GPTOptions) -> Model:
    """Return a model as the task ``generate`` builds it, with new weights."""
    backbone = options.build({"tokens": Tokens(VOCABULARY)})
    head = TokenHead(
        backbone.sequence_width, VOCABULARY, backbone.token_embedding,
        bias=backbone.token_bias, rows=backbone.token_rows,
    )  # fmt: skip
    return Model(backbone, head).eval()


def opened(folder: Path) -> Model:
    """Return a published checkpoint as a model of ours."""
    add_tokenizer(folder)
    options = GPTOptions.from_checkpoint(folder)
    model, tensors = build(options), options.weights()
    assert tensors is not None
    model.load_state_dict(options.adopt(tensors))
    return model


def published(model: Model, options: GPTOptions, folder: Path) -> None:
    """Write a model of ours as a checkpoint."""
    head = options.published_head(PublishedTask("text-generation", tokens=VOCABULARY))
    write_json(folder / "config.json", {**options.published_config(), **head.config})
    tensors = options.publish(rename(model.state_dict(), head.names))
    write_tensors(folder / "model.safetensors", tensors)


@torch.no_grad()
def ours(model: Model) -> Tensor:
    logits: Tensor = model(Batch(inputs={"tokens": draw()})).values
    return logits


@torch.no_grad()
def expected(theirs: Any) -> Tensor:
    logits: Tensor = theirs(draw()).logits[..., :VOCABULARY]
    return logits


@pytest.mark.parametrize("case", CASES)
def test_their_checkpoint_has_their_logits(case: str, tmp_path: Path) -> None:
    theirs = invent(case)
    theirs.save_pretrained(tmp_path)
    torch.testing.assert_close(ours(opened(tmp_path)), expected(theirs), **CLOSE)


@pytest.mark.parametrize("case", CASES)
def test_our_checkpoint_has_our_logits(case: str, tmp_path: Path) -> None:
    invent(case).save_pretrained(tmp_path)
    add_tokenizer(tmp_path)
    options = replace(GPTOptions.from_checkpoint(tmp_path), folder=None)
    for old in tmp_path.iterdir():
        old.unlink()
    torch.manual_seed(3)
    model = build(options)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    published(model, options, tmp_path)
    theirs, found = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, output_loading_info=True
    )
    assert not found["missing_keys"] and not found["unexpected_keys"]
    torch.testing.assert_close(expected(theirs.eval()), ours(model), **CLOSE)


def test_the_tokens_that_are_written_are_theirs(tmp_path: Path) -> None:
    """Step by step from the cache, greedily."""
    theirs = invent("llama")
    theirs.save_pretrained(tmp_path)
    model, prompt = opened(tmp_path), draw(4)[:1]
    how = {"max_new_tokens": 20, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    written = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), **how)
    carry, tokens = model.begin(Batch(inputs={"tokens": prompt})), prompt
    with torch.no_grad():
        logits, carry = model.read(Batch(inputs={"tokens": prompt}), carry)
        for _ in range(20):
            tokens = torch.cat([tokens, logits.argmax(-1, keepdim=True)], dim=1)
            logits, carry = model.step({"tokens": tokens[:, -1]}, carry)
    assert tokens.tolist() == written.tolist()


def test_a_checkpoint_in_several_files_is_read(tmp_path: Path) -> None:
    theirs = invent("gpt2")
    theirs.save_pretrained(tmp_path, max_shard_size="5KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    torch.testing.assert_close(ours(opened(tmp_path)), expected(theirs), **CLOSE)


def test_a_model_without_its_head_has_names_without_a_prefix(tmp_path: Path) -> None:
    """As the first files of GPT-2 have them, with the masks of their attention."""
    theirs = invent("gpt2")
    theirs.save_pretrained(tmp_path)
    bare = theirs.transformer.state_dict() | {"h.0.attn.bias": torch.ones(1, 1, 32, 32)}
    write_tensors(tmp_path / "model.safetensors", bare)
    torch.testing.assert_close(ours(opened(tmp_path)), expected(theirs), **CLOSE)


@pytest.mark.parametrize("case", CASES)
def test_a_saved_run_has_the_tokenizer_of_transformers(case: str, tmp_path: Path) -> None:
    """With it, and the ends of a text, transformers writes what the run writes."""
    theirs = invent(case)
    theirs.save_pretrained(tmp_path / "theirs")
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, **{f"w{n}": n for n in range(3, VOCABULARY)}}
    tokenizer = Tokenizer(models.WordLevel(vocab=words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", 1)]
    )
    tokenizer.save(str(tmp_path / "theirs/tokenizer.json"))
    run = ensuite.load(tmp_path / "theirs")
    run.save(tmp_path / "run")
    again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run").eval()
    reader = transformers.PreTrainedTokenizerFast.from_pretrained(tmp_path / "run")
    assert (reader.bos_token, reader.eos_token, again.config.eos_token_id) == ("<s>", "</s>", 2)
    asked = reader("w3 w5 w4", return_tensors="pt", return_token_type_ids=False)
    assert asked["input_ids"].tolist() == [[1, 3, 5, 4]] == [run.task.prompt_ids("w3 w5 w4")]
    (found,) = run.complete("w3 w5 w4", temperature=0, max_new_tokens=12)
    never = [0, 1, *range(VOCABULARY, ROWS)]  # no text has them
    how = {"max_new_tokens": 12, "do_sample": False, "suppress_tokens": never}
    assert again.generate(**asked, **how)[0, 4:].tolist() == list(found.tokens)


def test_a_checkpoint_of_a_bare_decoder_is_opened(tmp_path: Path) -> None:
    """Its tensors have no prefix; where it names the class with a head, it writes."""
    theirs = invent("gpt2")
    theirs.save_pretrained(tmp_path)
    add_tokenizer(tmp_path)
    write_json(tmp_path / "vocab.json", {f"w{n}": n for n in range(VOCABULARY)})
    expected = ensuite.load(tmp_path).fitted.language_model
    bare = theirs.transformer.state_dict() | {"h.0.attn.bias": torch.ones(1, 1, 32, 32)}
    write_tensors(tmp_path / "model.safetensors", bare)
    run = ensuite.load(tmp_path)
    assert run.task_name == "generate"
    torch.testing.assert_close(ours(run.fitted.language_model), ours(expected))
    theirs.transformer.save_pretrained(tmp_path)
    assert ensuite.load(tmp_path).task_name == "embed"


def test_published_sizes_have_published_configurations() -> None:
    config = json.loads(transformers.GPT2Config().to_json_string())
    mine = dict(model_options("gpt2")[1].published_config())
    without_dropout = {name: value for name, value in mine.items() if "pdrop" not in name}
    assert {name: config[name] for name in without_dropout} == without_dropout
