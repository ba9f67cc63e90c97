"""Checkpoints of GPT-2, Llama, Mistral, Qwen2 and Qwen3."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ensuite.core.batch import Tokens
from ensuite.core.errors import RunError, UsageError
from ensuite.core.printable import printable
from ensuite.core.published import PublishedHead, PublishedTask, read_object, read_weights
from ensuite.models.weights.config import Reader, require_tokenizer

if TYPE_CHECKING:
    from ensuite.models.gpt_options import GPTOptions

CONFIG = "config.json"

CONTEXT = "original_max_position_embeddings"
"""The entry of a rule of scaling that says how long the texts of the first training were."""

SCALINGS: Mapping[str, Sequence[str]] = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", CONTEXT),
}
"""The numbers of each rule by which rotary wavelengths are stretched, in the order of
:func:`ensuite.nn.position.stretched`."""

WRITES = "text-generation"
"""How transformers calls the task of a language model."""


class Family(NamedTuple):
    """How one family of checkpoints names things.

    Attributes:
        architecture: What the names of its classes begin with in transformers.
        prefix: What the names of the tensors below the head begin with.
        blocks: Where the blocks are.
        top: Published names of the layers outside the blocks, by ours.
        block: Published names of the layers of a block, by ours; several for one that is split.
        transposed: Layers of a block whose matrices are published as (inputs, outputs).
        ignored: Ends of the names of tensors that are no weights, such as masks.
    """

    architecture: str
    prefix: str
    blocks: str
    top: Mapping[str, str]
    block: Mapping[str, tuple[str, ...]]
    transposed: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()


GPT2 = Family(
    "GPT2",
    "transformer",
    "h",
    {"embed": "wte", "places.vectors": "wpe", "norm": "ln_f"},
    {
        "attention_norm": ("ln_1",),
        "attention.to_all": ("attn.c_attn",),
        "attention.output": ("attn.c_proj",),
        "feed_norm": ("ln_2",),
        "feed.up": ("mlp.c_fc",),
        "feed.down": ("mlp.c_proj",),
    },
    frozenset({"attention.to_all", "attention.output", "feed.up", "feed.down"}),
    (".attn.bias", ".attn.masked_bias"),
)

LLAMA = Family(
    "Llama",
    "model",
    "layers",
    {"embed": "embed_tokens", "norm": "norm"},
    {
        "attention_norm": ("input_layernorm",),
        "attention.to_all": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "attention.query_norm": ("self_attn.q_norm",),
        "attention.key_norm": ("self_attn.k_norm",),
        "attention.output": ("self_attn.o_proj",),
        "feed_norm": ("post_attention_layernorm",),
        "feed.up": ("mlp.gate_proj", "mlp.up_proj"),
        "feed.down": ("mlp.down_proj",),
    },
    ignored=(".rotary_emb.inv_freq",),
)

FAMILIES: Mapping[str, Family] = {
    "gpt2": GPT2,
    "llama": LLAMA,
    "mistral": LLAMA._replace(architecture="Mistral"),
    "qwen2": LLAMA._replace(architecture="Qwen2"),
    "qwen3": LLAMA._replace(architecture="Qwen3"),
}


def family_of(options: "GPTOptions") -> str | None:
    """Return the ``model_type`` that computes what these options say; None: there is none."""
    if options.attention != "softmax":
        return None
    if options.memory or options.positions == "learned":
        gpt2 = (options.norm, options.activation, options.bias) == ("layer", "gelu", "all")
        plain = options.size * options.heads == options.width and options.groups == options.heads
        rest = options.memory or options.qk_norm or options.window is not None
        return "gpt2" if gpt2 and plain and not rest else None
    if (options.norm, options.activation) != ("rms", "swiglu"):
        return None
    kinds = {
        ("none", False, False): "llama", ("none", False, True): "mistral",
        ("qkv", False, False): "qwen2", ("none", True, False): "qwen3",
    }  # fmt: skip
    return kinds.get((options.bias, options.qk_norm, options.window is not None))


# Configuration


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options of a checkpoint by name, as its configuration says.

    Raises:
        RunError: If the configuration is damaged, or there is no tokenizer beside it.
        UsageError: If it says what is not computed here.
    """
    require_tokenizer(folder)
    config = Reader(folder / CONFIG, read_object(folder / CONFIG))
    kind = config.text("model_type")
    return read_gpt2(config) if kind == "gpt2" else read_llama(config, kind)


def read_gpt2(config: Reader) -> dict[str, Any]:
    """Return the options that a configuration of GPT-2 says."""
    config.refuse("scale_attn_weights", True)
    config.refuse("scale_attn_by_inverse_layer_idx", False)
    tanh = {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu"}
    inner = config.entries.get("n_inner")
    return {
        "token_rows": config.count("vocab_size"),
        "width": config.count("n_embd"),
        "layers": config.count("n_layer"),
        "heads": config.count("n_head"),
        "inner": None if inner is None else config.count("n_inner"),
        "context": config.count("n_positions", 1024),
        "epsilon": config.number("layer_norm_epsilon", 1e-5),
        "activation": config.choice("activation_function", tanh, "gelu_new"),
        "tied": config.flag("tie_word_embeddings", True),
        "dropout": config.number("resid_pdrop", 0.1),
        "positions": "learned", "norm": "layer", "bias": "all", "qk_norm": False,
    }  # fmt: skip


def read_llama(config: Reader, kind: str) -> dict[str, Any]:
    """Return the options that a configuration of Llama, or of a model after it, says."""
    config.refuse("attention_bias", False)
    config.refuse("mlp_bias", False)
    config.refuse("use_sliding_window", False)
    heads, width = config.count("num_attention_heads"), config.count("hidden_size")
    groups = config.count("num_key_value_heads", heads)
    size = config.entries.get("head_dim")
    window = config.entries.get("sliding_window") if kind == "mistral" else None
    return {
        "token_rows": config.count("vocab_size"),
        "width": width,
        "layers": config.count("num_hidden_layers"),
        "heads": heads,
        "key_heads": None if groups == heads else groups,
        "head_size": None if size is None or size * heads == width else config.count("head_dim"),
        "inner": config.count("intermediate_size"),
        "context": config.count("max_position_embeddings"),
        "epsilon": config.number("rms_norm_eps", 1e-6),
        "activation": config.choice("hidden_act", {"silu": "swiglu"}, "silu"),
        "tied": config.flag("tie_word_embeddings", False),
        "rotary_base": rotary_base(config),
        "rotary_scaling": rotary_scaling(config),
        "window": None if window is None else config.count("sliding_window"),
        "bias": "qkv" if kind == "qwen2" else "none",
        "qk_norm": kind == "qwen3",
        "positions": "rotary", "norm": "rms",
    }  # fmt: skip


def rotary_rule(config: Reader) -> Reader:
    """Return what reads the rule of rotary positions, which stands in one of two places."""
    newer = config.entries.get("rope_parameters")
    return config.part("rope_parameters" if newer else "rope_scaling")


def rotary_base(config: Reader) -> float:
    """Return the base of the rotary wavelengths."""
    return rotary_rule(config).number("rope_theta", config.number("rope_theta", 10_000.0))


def rotary_scaling(config: Reader) -> tuple[float, ...]:
    """Return how the rotary wavelengths are stretched; empty if they are not.

    Raises:
        RunError: If a number of the rule is missing, or makes no sense.
        UsageError: If the rule is not computed here.
    """
    rule = rotary_rule(config)
    kind = rule.text("rope_type", rule.text("type", "default"))
    if kind not in SCALINGS:
        raise UsageError(
            f"{config.path}: its rotary positions are scaled by the rule {kind}, which is not "
            f"computed here; known: {', '.join(SCALINGS)}."
        )
    numbers = tuple(rule.number(name) for name in SCALINGS[kind])
    if min(numbers, default=1) <= 0 or (len(numbers) > 1 and numbers[1] >= numbers[2]):
        raise RunError(
            f"{config.path}: {', '.join(SCALINGS[kind])} must be more than 0 and grow from low to "
            "high; fetch the checkpoint again."
        )
    return numbers


def write_rotary(options: "GPTOptions") -> dict[str, Any]:
    """Return what ``config.json`` says of rotary positions."""
    numbers = options.rotary_scaling
    (kind,) = (kind for kind, names in SCALINGS.items() if len(names) == len(numbers))
    named = dict(zip(SCALINGS[kind], numbers, strict=True))
    if CONTEXT in named:
        named[CONTEXT] = int(named[CONTEXT])
    return {"rope_type": kind, "rope_theta": options.rotary_base, **named}


def write_config(options: "GPTOptions") -> dict[str, Any]:
    """Return the ``config.json`` of options that a family computes; empty if none does."""
    kind = family_of(options)
    if kind is None:
        return {}
    if kind == "gpt2":
        return {
            "model_type": kind, "n_embd": options.width, "n_layer": options.layers,
            "n_head": options.heads, "n_inner": options.inner, "n_positions": options.context,
            "layer_norm_epsilon": options.epsilon, "activation_function": "gelu_new",
            "tie_word_embeddings": options.tied, "resid_pdrop": options.dropout,
            "embd_pdrop": options.dropout, "attn_pdrop": options.dropout,
        }  # fmt: skip
    config = {
        "model_type": kind, "hidden_size": options.width, "num_hidden_layers": options.layers,
        "num_attention_heads": options.heads, "num_key_value_heads": options.groups,
        "head_dim": options.size, "intermediate_size": options.hidden, "hidden_act": "silu",
        "max_position_embeddings": options.context, "rms_norm_eps": options.epsilon,
        "rope_theta": options.rotary_base, "tie_word_embeddings": options.tied,
        "rope_parameters": write_rotary(options),
    }  # fmt: skip
    return config | ({"sliding_window": options.window} if kind == "mistral" else {})


def head_of(options: "GPTOptions", task: PublishedTask) -> PublishedHead:
    """Return how the family publishes the head of a task."""
    kind = family_of(options)
    if kind is None or not task.tokens:
        return PublishedHead()
    rows = max(task.tokens, options.token_rows or 0)
    if task.pipeline != WRITES:
        return PublishedHead({}, {"vocab_size": rows})
    name = f"{FAMILIES[kind].architecture}ForCausalLM"
    architecture = "GPT2LMHeadModel" if kind == "gpt2" else name
    config = {"architectures": [architecture], "vocab_size": rows, **task.config()}
    return PublishedHead({"head.weight": "lm_head.weight"}, config)


# Tensors


def read_tensors(options: "GPTOptions", folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by the names that :func:`publish` gives.

    A bare model is saved without the prefix that its tensors have below a head, as the published
    GPT-2 is; masks and wavelengths, which are no weights, are left out.
    """
    kind = family_of(options)
    assert kind is not None, "no family publishes these options"
    family = FAMILIES[kind]
    named = {with_prefix(family, name): each for name, each in read_weights(folder).items()}
    return {name: each for name, each in named.items() if not name.endswith(family.ignored)}


def publish(options: "GPTOptions", tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a model by their published names; others keep their names."""
    kind = family_of(options)
    if kind is None:
        return dict(tensors)
    published: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if not name.startswith("backbone."):
            published[name] = tensor
            continue
        theirs = names_of(FAMILIES[kind], name.removeprefix("backbone."))
        parts = torch.split(tensor, sizes(options, name, len(tensor)))
        turned = is_transposed(FAMILIES[kind], name, tensor)
        published |= zip(theirs, (part.T if turned else part for part in parts), strict=True)
    return published


def adopt(options: "GPTOptions", tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published tensors by our names; those of other heads keep theirs.

    Raises:
        RunError: If tensors are missing, are of other shapes, or belong to no layer.
    """
    kind = family_of(options)
    if kind is None:
        return dict(tensors)
    family = FAMILIES[kind]
    given = dict(tensors)
    given |= {"head.weight": given["lm_head.weight"]} if "lm_head.weight" in given else {}
    given.pop("lm_head.weight", None)
    if options.tied:
        given.pop("head.weight", None)
    expected = expected_parts(options)
    refuse_others(options, family, expected, given)
    adopted = {n: t for n, t in given.items() if not n.startswith(f"{family.prefix}.")}
    for name, parts in expected.items():
        joined = [given[their] for their in parts]
        if is_transposed(family, name, joined[0]):
            joined = [part.T for part in joined]
        whole = torch.cat(joined) if len(joined) > 1 else joined[0]
        adopted[name] = whole.contiguous()
    return adopted


def with_prefix(family: Family, name: str) -> str:
    """Return the name of a tensor as it is below a head; a bare model is saved without a prefix."""
    first = name.partition(".")[0]
    bare = first in (family.blocks, *family.top.values())
    return f"{family.prefix}.{name}" if bare else name


def expected_parts(options: "GPTOptions") -> dict[str, dict[str, tuple[int, ...]]]:
    """Return the published tensors, with their shapes, that make up each tensor of ours.

    The first size of the embedding is that of a vocabulary of one token.
    """
    kind = family_of(options)
    assert kind is not None, "no family publishes these options"
    with torch.device("meta"):
        backbone = replace(options, token_rows=None).build({"tokens": Tokens(1)})
    named = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    return {
        name: {n: tuple(t.shape) for n, t in publish(options, {name: tensor}).items()}
        for name, tensor in named.items()
    }


def refuse_others(
    options: "GPTOptions",
    family: Family,
    expected: Mapping[str, Mapping[str, tuple[int, ...]]],
    given: Mapping[str, Tensor],
) -> None:
    """Refuse a checkpoint whose tensors are not those that its configuration asks for.

    Raises:
        RunError: Names tensors that are missing, too many or of another shape.
    """
    shapes = {name: shape for parts in expected.values() for name, shape in parts.items()}
    embedding = names_of(family, "embed.weight")[0]
    missing = [name for name in shapes if name not in given]
    extra = [n for n in given if n.startswith(f"{family.prefix}.") and n not in shapes]
    other = [
        f"{name} {tuple(given[name].shape)} instead of {shape}"
        for name, shape in shapes.items()
        if name in given
        and tuple(given[name].shape)[name == embedding :] != shape[name == embedding :]
    ]
    if not (missing or extra or other):
        return
    found = [
        f"{verb} {some(names)}"
        for verb, names in (("lacks", missing), ("has the unknown", extra), ("has", other))
        if names
    ]
    where = "The checkpoint" if options.folder is None else printable(options.folder)
    raise RunError(f"{where} does not fit its {CONFIG}: it {' and '.join(found)}.")


def some(names: list[str]) -> str:
    """Return the first names, and how many there are besides.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def names_of(family: Family, name: str) -> tuple[str, ...]:
    """Return the published names of a tensor of the backbone, several where it is split."""
    module, _, kind = name.rpartition(".")
    if not module.startswith("blocks."):
        return (f"{family.prefix}.{family.top[module]}.{kind}",)
    _, number, layer = module.split(".", 2)
    where = f"{family.prefix}.{family.blocks}.{number}"
    return tuple(f"{where}.{each}.{kind}" for each in family.block[layer])


def sizes(options: "GPTOptions", name: str, rows: int) -> list[int]:
    """Return how many rows each published part of a tensor has."""
    if family_of(options) != "gpt2" and ".attention.to_all." in name:
        return [heads * options.size for heads in (options.heads, options.groups, options.groups)]
    return [rows // 2] * 2 if ".feed.up." in name and family_of(options) != "gpt2" else [rows]


def is_transposed(family: Family, name: str, tensor: Tensor) -> bool:
    """Return whether a tensor is published the other way round."""
    layer = name.rpartition(".")[0].split(".blocks.")[-1].partition(".")[2]
    return tensor.dim() == 2 and layer in family.transposed
