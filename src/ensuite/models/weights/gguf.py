"""Models in GGUF, the format of llama.cpp, as published checkpoints of the Llama family."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.errors import DataError, UsageError
from ensuite.core.files import write_json, write_tensors, write_text
from ensuite.core.printable import printable
from ensuite.models.weights.llama2c import SPECIAL, Piece, halves, tokenizer_of

ARCHITECTURES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}
"""What is opened, with the name that transformers gives it."""

LAYERS: Mapping[str, str] = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP: Mapping[str, str] = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
"""Published names of the tensors, by those in GGUF: of a block, and outside the blocks."""

CONTROL, OWN = 3, 4
"""Types of tokens that are no pieces of a text: control tokens, and those that a user defined."""

WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What the tokenizers of Qwen2 and Llama 3 cut a text into before they merge; they differ in how
many digits stand together."""


def _split(pattern: str) -> list[dict[str, Any]]:
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return [cut, _bytes(use_regex=False)]


def _bytes(*, use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
        "use_regex": use_regex,
    }  # fmt: skip


CUTS: Mapping[str, list[dict[str, Any]]] = {
    "gpt-2": [_bytes(use_regex=True)],
    "smollm": [{"type": "Digits", "individual_digits": True}, _bytes(use_regex=True)],
    "qwen2": _split(WORDS % ""),
    "llama-bpe": _split(WORDS % "{1,3}"),
}
"""How byte-level tokenizers cut a text before they merge, by the name that GGUF has for it."""


def convert(path: Path, out: Path) -> None:
    """Write a GGUF file as a published checkpoint: safetensors and JSON.

    Quantised weights are written as the float32 numbers that they stand for.

    Args:
        path: The model.
        out: Folder to write.

    Raises:
        DataError: If the file is damaged, or lacks something.
        UsageError: If it is of a kind that is not opened, or the package gguf is missing.

    Source:
        https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    """
    try:
        from gguf import GGUFReader
    except ImportError:
        raise UsageError(
            f"{printable(path)} is read by the package gguf; install it: pip install ensuite[gguf]"
        ) from None
    try:
        reader = GGUFReader(path)
        facts = {name: field.contents() for name, field in reader.fields.items()}
    except OSError as error:
        raise DataError(f"{printable(path)} cannot be read ({error.strerror}).") from None
    except Exception as error:  # the library raises nothing more precise
        raise DataError(f"{printable(path)} is no whole GGUF file ({error}).") from None
    known = Facts(path, facts)
    config, tokenizer = config_of(known), read_tokenizer(known)
    size = config["head_dim"] if config["model_type"] == "llama" else None
    tensors = dict(published(path, reader.tensors, size))
    config["tie_word_embeddings"] = "lm_head.weight" not in tensors
    write_tensors(out / "model.safetensors", tensors)
    write_json(out / "config.json", config)
    write_text(out / "tokenizer.json", json.dumps(tokenizer, ensure_ascii=False))
    write_json(out / "tokenizer_config.json", special_of(known))


class Facts:
    """What a GGUF file says of its model.

    Args:
        path: Of the file, for messages.
        entries: By name.
    """

    def __init__(self, path: Path, entries: Mapping[str, Any]) -> None:
        self.path, self.entries = path, entries

    def __call__(self, name: str, usual: Any = None) -> Any:
        """Return what is said under a name; without ``usual`` it must be there.

        Raises:
            DataError: If it is not.
        """
        if name not in self.entries and usual is None:
            raise DataError(f"{printable(self.path)} does not say its {name}; fetch it again.")
        return self.entries.get(name, usual)


def config_of(facts: Facts) -> dict[str, Any]:
    """Return the ``config.json`` of a model.

    Raises:
        UsageError: If its architecture is not opened here.
    """
    kind = facts("general.architecture")
    scaled = facts(f"{kind}.rope.scaling.type", "none")
    if kind not in ARCHITECTURES or scaled != "none":
        what = f"the architecture {kind}" if scaled == "none" else "scaled rotary positions"
        raise UsageError(
            f"{printable(facts.path)} has {what}, which is not computed here; opened are: "
            f"{', '.join(ARCHITECTURES)}."
        )
    width, heads = facts(f"{kind}.embedding_length"), facts(f"{kind}.attention.head_count")
    return {
        "architectures": [f"{ARCHITECTURES[kind]}ForCausalLM"], "model_type": kind,
        "hidden_size": width, "intermediate_size": facts(f"{kind}.feed_forward_length"),
        "num_hidden_layers": facts(f"{kind}.block_count"), "num_attention_heads": heads,
        "num_key_value_heads": facts(f"{kind}.attention.head_count_kv", heads),
        "head_dim": facts(f"{kind}.attention.key_length", width // heads),
        "vocab_size": len(facts("tokenizer.ggml.tokens")), "hidden_act": "silu",
        "max_position_embeddings": facts(f"{kind}.context_length"),
        "rms_norm_eps": facts(f"{kind}.attention.layer_norm_rms_epsilon"),
        "rope_theta": facts(f"{kind}.rope.freq_base", 10_000.0),
    }  # fmt: skip


# Tensors


def published(path: Path, tensors: Any, size: int | None) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a model by their published names.

    Args:
        path: Of the file, for messages.
        tensors: As the library reads them.
        size: Size of a head whose rows are in the order of llama.cpp; None: in the published one.

    Raises:
        DataError: If there is one of another name, or a damaged one.
    """
    from gguf.quants import dequantize

    for each in tensors:
        name = name_of(path, each.name)
        try:
            half = each.data.dtype == np.float16
            numbers: NDArray[Any] = each.data if half else dequantize(each.data, each.tensor_type)
            if size is not None and name.endswith(("q_proj.weight", "k_proj.weight")):
                numbers = halves(numbers, size)
        except Exception as error:  # the library raises nothing more precise
            raise DataError(
                f"{printable(path)}: the tensor {printable(each.name)} cannot be read ({error})."
            ) from None
        yield name, torch.tensor(numbers)


def name_of(path: Path, name: str) -> str:
    """Return the published name of a tensor.

    Raises:
        DataError: If there is no such tensor.
    """
    module, _, kind = name.rpartition(".")
    if module in TOP:
        return f"{TOP[module]}.{kind}"
    block, _, rest = module.partition(".")
    number, _, layer = rest.partition(".")
    if block != "blk" or not number.isdecimal() or layer not in LAYERS:
        raise DataError(f"{printable(path)} has the tensor {printable(name)}, which is not known.")
    return f"model.layers.{number}.{LAYERS[layer]}.{kind}"


# The tokenizer


def read_tokenizer(facts: Facts) -> dict[str, Any]:
    """Return the tokenizer of a model, as its library writes it.

    Raises:
        UsageError: If it is of a kind that is not known.
    """
    kind, tokens = facts("tokenizer.ggml.model"), facts("tokenizer.ggml.tokens")
    if kind == "llama" and tuple(tokens[: len(SPECIAL)]) == SPECIAL:
        pairs = zip(tokens, facts("tokenizer.ggml.scores"), strict=True)
        return tokenizer_of([Piece(*pair) for pair in pairs])
    cut = facts("tokenizer.ggml.pre", "default")
    if kind != "gpt2" or cut not in CUTS:
        known = f"gpt2 with {', '.join(CUTS)}"
        raise UsageError(
            f"{printable(facts.path)} has the tokenizer {kind} with {cut}, which is not known "
            f"here; known are: llama, {known}."
        )
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added(facts),
        "normalizer": {"type": "NFC"} if cut == "qwen2" else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": CUTS[cut]},
        "post_processor": frame(facts), "decoder": _bytes(use_regex=True),
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "fuse_unk": False,
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "byte_fallback": False,
            "ignore_merges": cut == "llama-bpe",
            "vocab": {text: number for number, text in enumerate(tokens)},
            "merges": [pair.split(" ") for pair in facts("tokenizer.ggml.merges")],
        },
    }  # fmt: skip


def added(facts: Facts) -> list[dict[str, Any]]:
    """Return the tokens that are no pieces of a text."""
    pairs = zip(facts("tokenizer.ggml.tokens"), facts("tokenizer.ggml.token_type"), strict=True)
    return [
        {
            "id": number, "content": text, "special": kind == CONTROL, "normalized": False,
            "single_word": False, "lstrip": False, "rstrip": False,
        }
        for number, (text, kind) in enumerate(pairs)
        if kind in (CONTROL, OWN)
    ]  # fmt: skip


def frame(facts: Facts) -> dict[str, Any] | None:
    """Return what puts the first token before a text; None where there is none."""
    if not facts("tokenizer.ggml.add_bos_token", False):
        return None
    number = facts("tokenizer.ggml.bos_token_id")
    start = facts("tokenizer.ggml.tokens")[number]
    before = {"SpecialToken": {"id": start, "type_id": 0}}
    first, second = ({"Sequence": {"id": letter, "type_id": 0}} for letter in "AB")
    return {
        "type": "TemplateProcessing", "single": [before, first],
        "pair": [before, first, before, second],
        "special_tokens": {start: {"id": start, "ids": [number], "tokens": [start]}},
    }  # fmt: skip


def special_of(facts: Facts) -> dict[str, Any]:
    """Return the ``tokenizer_config.json``: the special tokens, and the template of a chat."""
    tokens, found = facts("tokenizer.ggml.tokens"), dict[str, Any]()
    for role, name in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        number = facts.entries.get(f"tokenizer.ggml.{name}_token_id")
        if number is not None and number < len(tokens):
            found[f"{role}_token"] = tokens[number]
    template = facts.entries.get("tokenizer.chat_template")
    return found if template is None else {**found, "chat_template": template}
