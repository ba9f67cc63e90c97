"""GGUF files: the numbers that their blocks stand for, and their tokenizers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ensuite.core.backbone import Pretrained
from ensuite.core.errors import DataError, UsageError
from ensuite.core.files import read_json, read_tensors
from ensuite.data.processors.writing import Writing
from ensuite.models.gpt import GPTOptions
from ensuite.models.weights.gguf import convert
from ensuite.models.weights.llama2c import halves

gguf = pytest.importorskip("gguf")

WIDTH, HEADS, GROUPS, INNER, LAYERS = 64, 4, 2, 96, 2
SIZE = WIDTH // HEADS
SHAPES = {
    "attn_norm": (WIDTH,), "attn_q": (WIDTH, WIDTH), "attn_k": (GROUPS * SIZE, WIDTH),
    "attn_v": (GROUPS * SIZE, WIDTH), "attn_output": (WIDTH, WIDTH), "ffn_norm": (WIDTH,),
    "ffn_gate": (INNER, WIDTH), "ffn_up": (INNER, WIDTH), "ffn_down": (WIDTH, INNER),
}  # fmt: skip
TOKENS = ["<|end|>", "<|start|>", *"abcdefghij 0123456789".replace(" ", "Ġ"), "ab", "Ġab", "11"]
MERGES = ["a b", "Ġ ab", "1 1"]

Q8 = gguf.GGMLQuantizationType.Q8_0
KINDS = {
    "Q8_0": Q8, "Q4_0": gguf.GGMLQuantizationType.Q4_0, "F16": gguf.GGMLQuantizationType.F16,
}  # fmt: skip

Arrays = dict[str, NDArray[Any]]


def invent(architecture: str) -> Arrays:
    random = np.random.default_rng(0)
    shapes = {f"blk.{n}.{name}.weight": s for n in range(LAYERS) for name, s in SHAPES.items()}
    if architecture == "qwen2":
        shapes |= {
            f"blk.{n}.{name}.bias": SHAPES[name][:1]
            for n in range(LAYERS)
            for name in ("attn_q", "attn_k", "attn_v")
        }
    shapes |= {"token_embd.weight": (len(TOKENS), WIDTH), "output_norm.weight": (WIDTH,)}
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def write(path: Path, arrays: Arrays, kind: str, **changes: Any) -> Path:
    """Write a model as llama.cpp has it; ``changes`` replace what it says of itself."""
    facts = {"architecture": "llama", "pre": "smollm", "bos": False, **changes}
    writer = gguf.GGUFWriter(path, facts["architecture"])
    writer.add_block_count(LAYERS)
    writer.add_context_length(32)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500.0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(facts["pre"])
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3] + [1] * (len(TOKENS) - 2))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_add_bos_token(facts["bos"])
    writer.add_chat_template("{{ messages }}")
    for name, array in arrays.items():
        if array.ndim == 1 or kind == "F32":
            writer.add_tensor(name, array)
        elif kind == "F16":
            writer.add_tensor(name, array.astype(np.float16))
        else:
            data = gguf.quants.quantize(array, KINDS[kind])
            writer.add_tensor(name, data, raw_dtype=KINDS[kind])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def rounded(array: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """Return what the blocks of 32 numbers of a row stand for, computed anew."""
    if array.ndim == 1 or kind == "F16":
        return array.astype(np.float16 if array.ndim > 1 else np.float32).astype(float)
    blocks = array.reshape(-1, 32).astype(float)
    if kind == "Q8_0":
        scale = np.abs(blocks).max(1, keepdims=True) / 127
        return (np.round(blocks / scale) * scale.astype(np.float16)).reshape(array.shape)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(1)[:, None], 1)
    levels = np.clip(np.trunc(blocks / (largest / -8) + 8.5), 0, 15) - 8
    return (levels * (largest / -8).astype(np.float16)).reshape(array.shape)


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_are_the_numbers_that_they_stand_for(kind: str, tmp_path: Path) -> None:
    arrays = invent("llama")
    convert(write(tmp_path / "model.gguf", arrays, kind), tmp_path / "out")
    found = read_tensors(tmp_path / "out/model.safetensors")
    pairs = {
        "model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
        "model.layers.1.mlp.down_proj.weight": "blk.1.ffn_down.weight",
        "model.layers.0.self_attn.o_proj.weight": "blk.0.attn_output.weight",
        "model.layers.0.self_attn.v_proj.weight": "blk.0.attn_v.weight",
    }  # fmt: skip
    for name, theirs in pairs.items():
        expected = rounded(arrays[theirs], kind)
        np.testing.assert_allclose(found[name].float().numpy(), expected, rtol=2e-3, atol=1e-3)
    queries = rounded(arrays["blk.1.attn_q.weight"], kind).astype(np.float32)
    turned = found["model.layers.1.self_attn.q_proj.weight"].float().numpy()
    np.testing.assert_allclose(turned, halves(queries, SIZE), rtol=2e-3, atol=1e-3)
    np.testing.assert_allclose(turned[1], queries[2], rtol=2e-3, atol=1e-3)


def test_it_is_a_checkpoint_that_opens(tmp_path: Path) -> None:
    for architecture in ("llama", "qwen2"):
        out = tmp_path / architecture
        arrays = invent(architecture)
        source = write(tmp_path / "m.gguf", arrays, "F32", architecture=architecture)
        convert(source, out)
        options = GPTOptions.from_checkpoint(out)
        known = (options.heads, options.key_heads, options.context, options.rotary_base)
        assert known == (HEADS, GROUPS, 32, 500.0)
        assert options.tied
        adopted = options.adopt(read_tensors(out / "model.safetensors"))
        value = arrays["blk.0.attn_v.weight"]
        rows = adopted["backbone.blocks.0.attention.to_all.weight"][-len(value) :]
        assert torch.equal(rows, torch.tensor(value))
        if architecture == "qwen2":  # whose queries are in the published order
            query = adopted["backbone.blocks.0.attention.to_all.weight"][:WIDTH]
            assert torch.equal(query, torch.tensor(arrays["blk.0.attn_q.weight"]))


@pytest.mark.parametrize("bos", [False, True])
def test_its_tokenizer_is_kept(bos: bool, tmp_path: Path) -> None:
    source = write(tmp_path / "model.gguf", invent("llama"), "F16", bos=bos)
    convert(source, tmp_path / "out")
    writing = Writing().prepare([], Pretrained(tmp_path / "out"))
    ids = writing.encode(["ab ab11"])[0].tolist()
    assert [TOKENS[token] for token in ids] == ["ab", "Ġab", "1", "1"]  # digits stand alone
    assert writing.decode_piece(ids) == "ab ab11"
    assert (writing.opens, writing.start, writing.end, writing.padding) == (bos, 1, 0, None)
    assert read_json(tmp_path / "out/tokenizer_config.json")["chat_template"] == "{{ messages }}"


@pytest.mark.parametrize("cut", [0, 3, 100, 2000, 20_000])
def test_a_damaged_file_is_refused(cut: int, tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", invent("llama"), "Q8_0")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"model.gguf (is no whole GGUF file|does not say)"):
        convert(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_opened_is_named(tmp_path: Path) -> None:
    arrays = invent("llama")
    for changes, sentence in (
        ({"architecture": "mamba"}, "the architecture mamba, which is not computed here"),
        ({"pre": "deepseek-llm"}, "the tokenizer gpt2 with deepseek-llm"),
    ):
        path = write(tmp_path / "model.gguf", arrays, "F16", **changes)
        with pytest.raises(UsageError, match=sentence):
            convert(path, tmp_path / "out")
    other = {**arrays, "blk.0.ssm_conv1d.weight": arrays["blk.0.attn_q.weight"]}
    with pytest.raises(DataError, match=r"the tensor blk.0.ssm_conv1d.weight, which is not known"):
        convert(write(tmp_path / "model.gguf", other, "F16"), tmp_path / "out")
    with pytest.raises(DataError, match="cannot be read"):
        convert(tmp_path / "none.gguf", tmp_path / "out")
