"""Models of llama2.c as published checkpoints of the Llama family."""

import json
import struct
from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ensuite.core.errors import DataError
from ensuite.core.files import write_json, write_tensors, write_text

SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = range(len(SPECIAL), len(SPECIAL) + 256)
"""The tokens of Llama's vocabulary that stand for single bytes."""

BORDER = 1
"""Number of the token that starts every text and, as the start of the next, ends it: ``<s>``."""

SPACE = "\u2581"
"""What stands for a space in the pieces of SentencePiece."""


class Header(NamedTuple):
    """The sizes of a model, seven whole numbers at the start of its file.

    Attributes:
        width: Size of the vector of a position.
        inner: Units of the hidden layer of the feed-forward network.
        layers: Number of blocks.
        heads: Number of query heads.
        groups: Number of heads of keys and values.
        tokens: Size of the vocabulary; negative where the output projection is a matrix of its own.
        context: Most positions that it reads.
    """

    width: int
    inner: int
    layers: int
    heads: int
    groups: int
    tokens: int
    context: int


HEADER = struct.Struct("<7i")


def convert(weights: Path, tokenizer: Path, out: Path) -> None:
    """Write a model of llama2.c as a published checkpoint: safetensors and JSON.

    Args:
        weights: The model, such as ``stories15M.bin``: a header and float32 numbers.
        tokenizer: Its ``tokenizer.bin``.
        out: Folder to write.

    Raises:
        DataError: If a file is not what llama2.c writes.

    Source:
        Karpathy (2023), https://github.com/karpathy/llama2.c, export.py (version 0), tokenizer.py;
        tinystories.py and run.c for what ends a text
    """
    header, tensors = read_model(weights)
    pieces = read_pieces(tokenizer, abs(header.tokens))
    write_tensors(out / "model.safetensors", tensors)
    write_json(out / "config.json", config_of(header))
    write_json(out / "tokenizer_config.json", tokenizer_config_of(header))
    write_text(out / "tokenizer.json", json.dumps(tokenizer_of(pieces), ensure_ascii=False))


def config_of(header: Header) -> dict[str, Any]:
    """Return the ``config.json`` of a model."""
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_size": header.width, "intermediate_size": header.inner,
        "num_hidden_layers": header.layers, "num_attention_heads": header.heads,
        "num_key_value_heads": header.groups, "vocab_size": abs(header.tokens),
        "max_position_embeddings": header.context, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "rope_theta": 10_000.0, "tie_word_embeddings": header.tokens > 0,
        "bos_token_id": BORDER, "eos_token_id": BORDER,
    }  # fmt: skip


def tokenizer_config_of(header: Header) -> dict[str, Any]:
    """Return the ``tokenizer_config.json`` of a model.

    A model of llama2.c was trained on texts with ``<s>`` before each and ``</s>`` after none, and
    its program stops at ``<s>``.
    """
    border = SPECIAL[BORDER]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": header.context,
        "bos_token": border, "eos_token": border, "unk_token": SPECIAL[0],
    }  # fmt: skip


# The model


def read_model(path: Path) -> tuple[Header, dict[str, Tensor]]:
    """Return the sizes of a model, and its tensors as the Llama family publishes them.

    Raises:
        DataError: If the file is no such model.
    """
    content = read_bytes(path)
    if len(content) < HEADER.size:
        raise DataError(f"{path} is no model of llama2.c: it is too short for a header.")
    header = Header(*HEADER.unpack_from(content))
    small = min(*header[:5], abs(header.tokens), header.context) < 1
    if small or header.width % header.heads or header.heads % header.groups:
        raise DataError(f"{path} is no model of llama2.c: its header says {tuple(header)}.")
    shapes = dict(stored(header))
    expected = HEADER.size + 4 * sum(map(prod, shapes.values()))
    if len(content) != expected:
        raise DataError(
            f"{path} is damaged, or no model of llama2.c: it has {len(content):,} bytes, and its "
            f"header asks for {expected:,}."
        )
    numbers = np.frombuffer(content, "<f4", offset=HEADER.size).astype(np.float32, copy=False)
    ends = np.cumsum([0, *(prod(shape) for shape in shapes.values())])
    parts = {
        name: numbers[start:end].reshape(shape)
        for (name, shape), (start, end) in zip(shapes.items(), pairwise(ends), strict=True)
    }
    return header, dict(published(header, parts))


def stored(header: Header) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and shape of each array, in the order of the file."""
    width, inner, layers, heads, groups, tokens, context = header
    size = width // heads
    yield "embed_tokens", (abs(tokens), width)
    yield "input_layernorm", (layers, width)
    yield "self_attn.q_proj", (layers, width, width)
    yield "self_attn.k_proj", (layers, groups * size, width)
    yield "self_attn.v_proj", (layers, groups * size, width)
    yield "self_attn.o_proj", (layers, width, width)
    yield "post_attention_layernorm", (layers, width)
    yield "mlp.gate_proj", (layers, inner, width)
    yield "mlp.down_proj", (layers, width, inner)
    yield "mlp.up_proj", (layers, inner, width)
    yield "norm", (width,)
    yield "angles", (2, context, size // 2)  # cosines and sines, which the positions give
    if tokens < 0:
        yield "lm_head", (-tokens, width)


def published(
    header: Header, parts: Mapping[str, NDArray[np.float32]]
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a model by their published names."""
    for name, array in parts.items():
        if name in ("embed_tokens", "norm"):
            yield f"model.{name}.weight", torch.tensor(array)
        elif name == "lm_head":
            yield "lm_head.weight", torch.tensor(array)
        elif name != "angles":
            for number, layer in enumerate(array):
                turned = name.endswith(("q_proj", "k_proj"))
                found = halves(layer, header.width // header.heads) if turned else layer
                yield f"model.layers.{number}.{name}.weight", torch.tensor(found)


def halves(matrix: NDArray[Any], size: int) -> NDArray[Any]:
    """Return the rows of each head with the first of each pair before the second ones.

    Pairs that rotary positions turn are neighbours in llama2.c; in the published weights of Llama
    they are half a head apart.
    """
    rows, width = matrix.shape
    pairs = matrix.reshape(rows // size, size // 2, 2, width)
    return pairs.swapaxes(1, 2).reshape(rows, width)


# The tokenizer


class Piece(NamedTuple):
    """A token of the vocabulary and its rank: pieces of higher scores are merged first."""

    text: str
    score: float


def read_pieces(path: Path, count: int) -> list[Piece]:
    """Return the tokens of a ``tokenizer.bin``.

    Raises:
        DataError: If the file does not hold so many tokens.
    """
    content, place, pieces = read_bytes(path), 4, list[Piece]()
    try:
        for number in range(count):
            score, length = struct.unpack_from("<fi", content, place)
            place += 8 + length
            text = content[place - length : place].decode(errors="replace")
            if number in BYTES:
                text = f"<0x{number - BYTES.start:02X}>"
            pieces.append(Piece(text.replace(" ", SPACE), score))
    except struct.error:
        place = -1
    if place != len(content):
        raise DataError(
            f"{path} is no tokenizer.bin of llama2.c with the {count:,} tokens of the model; give "
            "the one that it was trained with."
        )
    special = [Piece(text, 0.0) for text in SPECIAL]
    return [*special, *pieces[len(SPECIAL) :]]


def tokenizer_of(pieces: list[Piece]) -> dict[str, Any]:
    """Return the tokenizer of Llama with these pieces, as its library writes it."""
    start = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    added = [
        {
            "id": number, "content": text, "special": True, "normalized": False,
            "single_word": False, "lstrip": False, "rstrip": False,
        }
        for number, text in enumerate(SPECIAL)
    ]  # fmt: skip
    texts = [{"Sequence": {"id": letter, "type_id": 0}} for letter in "AB"]
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE},
            {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
        ]},
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing", "single": [start, texts[0]],
            "pair": [start, texts[0], start, texts[1]],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True,
            "continuing_subword_prefix": None, "end_of_word_suffix": None, "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece.text: number for number, piece in enumerate(pieces)},
            "merges": [list(pair) for pair in merges(pieces)],
        },
    }  # fmt: skip


def merges(pieces: list[Piece]) -> list[tuple[str, str]]:
    """Return the pairs of pieces that make up another piece, those of the best piece first.

    SentencePiece merges whichever two neighbours make the piece of the highest score, and so every
    way to cut a piece in two is a merge.
    """
    ids = {piece.text: number for number, piece in enumerate(pieces)}
    learned = [piece for piece in pieces[BYTES.stop :] if len(piece.text) > 1]
    found: list[tuple[str, str]] = []
    for text, _ in sorted(learned, key=lambda piece: -piece.score):
        cuts = [(text[:place], text[place:]) for place in range(1, len(text))]
        known = [pair for pair in cuts if pair[0] in ids and pair[1] in ids]
        found += sorted(known, key=lambda pair: (ids[pair[0]], ids[pair[1]]))
    return found


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from None
