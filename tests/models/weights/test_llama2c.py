"""Models of llama2.c: the numbers of their own program, and its tokens."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.batch import Batch, Tokens
from ensuite.core.errors import DataError
from ensuite.core.files import read_json, read_tensors
from ensuite.core.model import Model
from ensuite.data.processors.tokenizer import load_tokenizer
from ensuite.data.processors.writing import Writing
from ensuite.models.gpt import GPTOptions
from ensuite.models.weights.llama2c import HEADER, Header, convert, stored
from ensuite.nn.heads import TokenHead

PIECES = {
    " ": -9.0, "a": -9.0, "b": -9.0, "c": -9.0, "ab": -1.0, "bc": -2.0, " ab": -3.0, "abc": -4.0,
}  # fmt: skip
WORDS = ["<unk>", "\n<s>\n", "\n</s>\n", *map(chr, range(256)), *PIECES]
SIZES = Header(width=8, inner=6, layers=2, heads=2, groups=1, tokens=len(WORDS), context=5)

Arrays = dict[str, NDArray[np.float32]]


def invent(header: Header) -> Arrays:
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype("<f4") for name, shape in stored(header)}


def write_model(folder: Path, header: Header) -> tuple[Path, Path]:
    """Write a model and a tokenizer as llama2.c has them."""
    model, tokenizer = folder / "model.bin", folder / "tokenizer.bin"
    arrays = b"".join(array.tobytes() for array in invent(header).values())
    model.write_bytes(HEADER.pack(*header) + arrays)
    content = [struct.pack("<i", 6)]
    for number, word in enumerate(WORDS):
        text = bytes([number - 3]) if 3 <= number < 259 else word.encode()
        content.append(struct.pack("<fi", PIECES.get(word, 0.0), len(text)) + text)
    tokenizer.write_bytes(b"".join(content))
    return model, tokenizer


def logits(header: Header, weights: Arrays, tokens: list[int]) -> NDArray[np.float64]:
    """Compute as llama2.c does: neighbours are turned, and heads share keys."""
    w = {name: array.astype(float) for name, array in weights.items()}
    size = header.width // header.heads

    def norm(x: NDArray[np.float64], gain: NDArray[np.float64]) -> NDArray[np.float64]:
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * gain

    def turn(x: NDArray[np.float64]) -> NDArray[np.float64]:
        pairs = x.reshape(len(tokens), -1, size // 2, 2)
        rates = 10_000.0 ** (-np.arange(0, size, 2) / size)
        angles = np.arange(len(tokens))[:, None, None] * rates
        whole = (pairs[..., 0] + 1j * pairs[..., 1]) * np.exp(1j * angles)
        return np.stack([whole.real, whole.imag], -1).reshape(len(tokens), -1, size)

    x = w["embed_tokens"][tokens]
    for n in range(header.layers):
        h = norm(x, w["input_layernorm"][n])
        q, k = (turn(h @ w[f"self_attn.{name}_proj"][n].T) for name in "qk")
        v = (h @ w["self_attn.v_proj"][n].T).reshape(len(tokens), -1, size)
        k, v = (each.repeat(header.heads // header.groups, 1) for each in (k, v))
        scores = np.einsum("qhs,khs->hqk", q, k) / np.sqrt(size)
        scores[:, np.triu_indices(len(tokens), 1)[0], np.triu_indices(len(tokens), 1)[1]] = -1e9
        likely = np.exp(scores - scores.max(-1, keepdims=True))
        likely /= likely.sum(-1, keepdims=True)
        seen = np.einsum("hqk,khs->qhs", likely, v).reshape(len(tokens), -1)
        x = x + seen @ w["self_attn.o_proj"][n].T
        h = norm(x, w["post_attention_layernorm"][n])
        gate = h @ w["mlp.gate_proj"][n].T
        inner = gate / (1 + np.exp(-gate)) * (h @ w["mlp.up_proj"][n].T)
        x = x + inner @ w["mlp.down_proj"][n].T
    return norm(x, w["norm"]) @ w.get("lm_head", w["embed_tokens"]).T


@pytest.mark.parametrize("header", [SIZES, SIZES._replace(tokens=-len(WORDS), groups=2)])
def test_it_computes_what_llama2c_computes(header: Header, tmp_path: Path) -> None:
    convert(*write_model(tmp_path, header), tmp_path / "out")
    options = GPTOptions.from_checkpoint(tmp_path / "out")
    assert options.tied == (header.tokens > 0)
    backbone = options.build({"tokens": Tokens(len(WORDS))})
    head = TokenHead(8, len(WORDS), backbone.token_embedding, bias=False)
    model = Model(backbone, head).eval()
    model.load_state_dict(options.adopt(read_tensors(tmp_path / "out/model.safetensors")))
    tokens = [1, 259, 264, 7, 265]
    with torch.no_grad():
        found = model(Batch(inputs={"tokens": torch.tensor([tokens])})).values[0]
    expected = logits(header, invent(header), tokens)
    # our sums are in float32, those above in float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-4)


def test_its_tokens_are_those_of_the_best_merges(tmp_path: Path) -> None:
    convert(*write_model(tmp_path, SIZES), tmp_path / "out")
    text = (tmp_path / "out/tokenizer.json").read_text(encoding="utf-8")
    tokenizer = load_tokenizer(text)
    cases = {
        "abc": ["<s>", "▁ab", "c"],  # ab is merged before bc, and then takes the space
        "cabc": ["<s>", "▁", "c", "abc"],
        "é": ["<s>", "▁", "<0xC3>", "<0xA9>"],
    }
    for given, pieces in cases.items():
        encoded = tokenizer.encode(given)
        assert encoded.tokens == pieces
        assert tokenizer.decode(encoded.ids) == given
    assert read_json(tmp_path / "out/config.json")["model_type"] == "llama"
    assert json.loads(text)["model"]["byte_fallback"]


def test_the_token_that_starts_a_text_ends_it(tmp_path: Path) -> None:
    """In llama2.c a text is over where the next one would start; ``</s>`` was never trained."""
    convert(*write_model(tmp_path, SIZES), tmp_path / "out")
    writing = Writing().prepare([], Pretrained(tmp_path / "out"))
    assert writing.start == writing.end == 1
    assert writing.edges == (1,)
    assert 1 not in writing.suppressed
    assert read_json(tmp_path / "out/config.json")["eos_token_id"] == 1


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    model, tokenizer = write_model(tmp_path, SIZES)
    whole = model.read_bytes()
    for content, sentence in (
        (b"", "it is too short for a header"),
        (whole[:-4], "its header asks for"),
        (whole + b"1234", "its header asks for"),
        (HEADER.pack(*SIZES._replace(heads=3)) + whole[HEADER.size :], "its header says"),
        (HEADER.pack(*SIZES._replace(layers=0)), "its header says"),
    ):
        model.write_bytes(content)
        with pytest.raises(DataError, match=sentence):
            convert(model, tokenizer, tmp_path / "out")
    with pytest.raises(DataError, match="cannot be read"):
        convert(tmp_path / "none.bin", tokenizer, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("cut", [-1, 10, 200])
def test_a_tokenizer_of_another_model_is_refused(cut: int, tmp_path: Path) -> None:
    model, tokenizer = write_model(tmp_path, SIZES)
    tokenizer.write_bytes(tokenizer.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"is no tokenizer.bin of llama2.c with the 267 tokens"):
        convert(model, tokenizer, tmp_path / "out")
