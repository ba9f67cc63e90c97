"""Checkpoints of GPT-2 and Llama: what does not fit is named in a sentence."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ensuite.core.batch import Tokens
from ensuite.core.errors import RunError, UsageError
from ensuite.core.files import read_json, write_json, write_tensors
from ensuite.core.published import PublishedTask
from ensuite.models.gpt import GPTOptions
from ensuite.models.weights.gpt import family_of

TOKENS = 9

GPT2 = GPTOptions(
    width=8, layers=2, heads=2, context=16, positions="learned", norm="layer", bias="all",
    activation="gelu", qk_norm=False, tied=True,
)  # fmt: skip
LLAMA = replace(
    GPT2, positions="rotary", norm="rms", bias="none", activation="swiglu", tied=False, key_heads=1
)

FAMILIES = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": replace(LLAMA, window=4),
    "qwen2": replace(LLAMA, bias="qkv"),
    "qwen3": replace(LLAMA, qk_norm=True, head_size=6),
}


def weights(options: GPTOptions) -> dict[str, Tensor]:
    """Return the tensors of a backbone by the names that its family publishes."""
    torch.manual_seed(0)
    named = options.build({"tokens": Tokens(TOKENS)}).state_dict()
    return dict(options.publish({f"backbone.{name}": tensor for name, tensor in named.items()}))


def write(options: GPTOptions, folder: Path, **changes: Any) -> None:
    """Write a checkpoint whose configuration may be changed; None leaves an entry out."""
    head = options.published_head(PublishedTask("text-generation", tokens=TOKENS))
    config = {**options.published_config(), **head.config, **changes}
    write_json(folder / "config.json", {n: v for n, v in config.items() if v is not None})
    write_tensors(folder / "model.safetensors", weights(options))
    write_json(folder / "vocab.json", {})
    (folder / "merges.txt").write_text("", encoding="utf-8")


@pytest.mark.parametrize(("kind", "options"), FAMILIES.items())
def test_what_is_written_is_read(kind: str, options: GPTOptions, tmp_path: Path) -> None:
    assert family_of(options) == kind
    write(options, tmp_path)
    again = GPTOptions.from_checkpoint(tmp_path)
    given = {"folder": tmp_path, "token_rows": TOKENS, "inner": again.inner}
    assert again == replace(options, **given)
    assert again.hidden == options.hidden
    tensors = again.weights()
    assert tensors is not None
    ours = again.adopt(tensors)
    mine = options.build({"tokens": Tokens(TOKENS)})
    mine.load_state_dict({n.removeprefix("backbone."): t for n, t in ours.items()})
    published = weights(options)
    again_published = options.publish({f"backbone.{n}": t for n, t in mine.state_dict().items()})
    assert all(torch.equal(again_published[name], published[name]) for name in published)


@pytest.mark.parametrize(
    "changes",
    [{"memory": True, "window": 3}, {"activation": "squared-relu"}, {"norm": "layer"},
     {"positions": "learned"}, {"bias": "all"}, {"bias": "qkv", "qk_norm": True},
     {"attention": "linear"}],
)  # fmt: skip
def test_what_no_family_computes_keeps_our_names(changes: dict[str, Any]) -> None:
    options = replace(LLAMA, **changes)
    assert family_of(options) is None
    assert options.published_config() == {}
    assert set(weights(options)) == set(options.adopt(weights(options)))
    assert not options.published_head(PublishedTask("text-generation", tokens=9)).config


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    write(LLAMA, tmp_path)
    options, tensors = GPTOptions.from_checkpoint(tmp_path), weights(LLAMA)
    key = "model.layers.1.self_attn.k_proj.weight"
    cases = {
        f"lacks {key}.": {n: t for n, t in tensors.items() if n != key},
        f"has the unknown model.layers.2.{key[15:]}.": {
            **tensors, f"model.layers.2.{key[15:]}": tensors[key]
        },
        f"has {key} (3, 8) instead of (4, 8).": {**tensors, key: tensors[key][:3]},
        "lacks model.norm.weight and has the unknown model.norm.bias.": {
            ("model.norm.bias" if n == "model.norm.weight" else n): t for n, t in tensors.items()
        },
        "and 16 more": {n: t for n, t in tensors.items() if n.startswith("model.norm")},
    }  # fmt: skip
    for sentence, given in cases.items():
        with pytest.raises(RunError) as error:
            options.adopt(given)
        assert str(error.value).startswith(f"{tmp_path} does not fit its config.json: it ")
        assert sentence in str(error.value)


def test_tensors_of_other_heads_are_left_alone() -> None:
    other = {"score.weight": torch.zeros(2, 8), "head.linear.bias": torch.zeros(2)}
    ours = LLAMA.adopt({**weights(LLAMA), **other})
    assert set(other) < set(ours)
    lm_head = {"lm_head.weight": torch.zeros(TOKENS, 8)}
    assert "head.weight" in LLAMA.adopt({**weights(LLAMA), **lm_head})
    assert "head.weight" not in GPT2.adopt({**weights(GPT2), **lm_head})  # it is the embedding


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        ("llama", {"rope_parameters": {"rope_type": "yarn", "factor": 8.0}}, "the rule yarn"),
        ("llama", {"rope_parameters": None, "rope_scaling": {"type": "dynamic"}}, "rule dynamic"),
        ("llama", {"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, "no low_freq_fac"),
        ("llama", {"rope_parameters": {"rope_type": "linear", "factor": 0}}, "more than 0"),
        ("llama", {"rope_parameters": [8.0]}, r"rope_parameters is \[8.0\]"),
        ("llama", {"attention_bias": True}, "attention_bias is True"),
        ("llama", {"hidden_act": "relu"}, "hidden_act is relu"),
        ("llama", {"hidden_size": None}, "has no hidden_size, a whole number;"),
        ("llama", {"hidden_size": "wide"}, "hidden_size is 'wide'"),
        ("llama", {"num_hidden_layers": 2.5}, "num_hidden_layers is 2.5"),
        ("qwen2", {"use_sliding_window": True}, "use_sliding_window is True"),
        ("gpt2", {"activation_function": "relu"}, "activation_function is relu"),
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is False"),
        ("gpt2", {"n_embd": 9}, r"width \(9\) must be a multiple of heads"),
    ],
)  # fmt: skip
def test_a_configuration_that_is_not_computed_is_refused(
    kind: str, changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    write(FAMILIES[kind], tmp_path, **changes)
    with pytest.raises((RunError, UsageError), match=sentence):
        GPTOptions.from_checkpoint(tmp_path)


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    write(GPT2, tmp_path)
    (tmp_path / "merges.txt").unlink()
    with pytest.raises(RunError, match="has no tokenizer"):
        GPTOptions.from_checkpoint(tmp_path)


def test_old_configurations_tell_the_rotary_base_beside(tmp_path: Path) -> None:
    write(LLAMA, tmp_path, rope_parameters=None, rope_theta=77.0)
    assert read_json(tmp_path / "config.json")["rope_theta"] == 77.0
    assert GPTOptions.from_checkpoint(tmp_path).rotary_base == 77.0
