"""Checkpoints of ModernBERT."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from ensuite.core.errors import UsageError
from ensuite.core.published import PublishedHead, PublishedTask, read_object, read_weights, rename
from ensuite.models.weights.config import Reader, require_tokenizer
from ensuite.models.weights.sentence import read_sentence

if TYPE_CHECKING:
    from ensuite.models.modern_bert import ModernBertOptions

COUNTS: Mapping[str, str] = {
    "token_rows": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "longest": "max_position_embeddings",
}
"""Names of the sizes in ``config.json``."""

EVERY, LOCAL = 3, 128
"""What transformers takes where a configuration leaves out ``global_attn_every_n_layers`` and
``local_attention``, which is twice the reach."""

BASES: Mapping[str, tuple[str, str, float]] = {
    "global_base": ("global_rope_theta", "full_attention", 160_000.0),
    "local_base": ("local_rope_theta", "sliding_attention", 10_000.0),
}
"""Entries of the rotary wavelengths: the older, that in newer ``rope_parameters``, the usual."""

MODULES: Mapping[str, str] = {
    "backbone.tokens": "model.embeddings.tok_embeddings",
    "backbone.embedded": "model.embeddings.norm",
    "backbone.norm": "model.final_norm",
    "backbone.pooler.dense": "head.dense",
    "backbone.pooler.norm": "head.norm",
}

BLOCK: Mapping[str, str] = {
    "attended": "attn_norm",
    "project": "attn.Wqkv",
    "output": "attn.Wo",
    "norm": "mlp_norm",
    "inner": "mlp.Wi",
    "outer": "mlp.Wo",
}

LABELLED: Mapping[str, str] = {"head.linear": "classifier"}

FILLED: Mapping[str, str] = {
    "backbone.pooler": "pooler",  # the layer before the scores of tokens has its published name
    "head.weight": "decoder.weight",
    "head.bias": "decoder.bias",
}
"""Names of a masked language model; its layer and norm have the same names in both."""


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options of a published checkpoint, as its ``config.json`` describes it.

    Raises:
        RunError: If the configuration lacks something, or is damaged; names it.
        UsageError: If the checkpoint is one that cannot be computed here.
    """
    require_tokenizer(folder)
    config = Reader(folder / "config.json", read_object(folder / "config.json"))
    for name in ("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"):
        config.refuse(name, False)
    for name in ("hidden_activation", "classifier_activation"):
        config.refuse(name, "gelu")
    options: dict[str, Any] = {ours: config.count(theirs) for ours, theirs in COUNTS.items()}
    options |= {
        "global_every": read_every(config, options["layers"]),
        "reach": config.count("local_attention", LOCAL) // 2,
        "norm_epsilon": config.number("norm_eps", 1e-5),
        "pad": config.count("pad_token_id", 0),
        "tied": config.flag("tie_word_embeddings", True),
        "pooling": config.choice("classifier_pooling", {"cls": "cls", "mean": "mean"}, "cls"),
        "dropout": config.number("mlp_dropout", 0.0),
        "attention_dropout": config.number("attention_dropout", 0.0),
    }
    angles = config.part("rope_parameters")
    for ours, (older, newer, usual) in BASES.items():
        named = angles.part(newer)
        named.refuse("rope_type", "default")
        options[ours] = named.number("rope_theta", config.number(older, usual))
    sentence = read_sentence(folder)
    if sentence is not None:
        options |= {"pooling": sentence.pooling, "pooler": False}
    return options


def read_every(config: Reader, layers: int) -> int:
    """Return the distance between blocks in which all positions attend to each other.

    Raises:
        UsageError: If the configuration lists them in another order.
    """
    every = config.count("global_attn_every_n_layers", EVERY)
    kinds = config.entries.get("layer_types")
    if not isinstance(kinds, list) or not kinds:
        return every
    known = ("sliding_attention", "full_attention")
    places = [place for place, kind in enumerate(kinds) if kind == known[1]]
    every = places[1] if len(places) > 1 else max(1, layers)
    if kinds != [known[place % every == 0] for place in range(layers)]:
        raise UsageError(
            f"{config.path}: layer_types has an order that is not computed here; known: "
            "full_attention first and then at equal distances."
        )
    return every


def longest_text(folder: Path, longest: int) -> int:
    """Return the most tokens of a text that a checkpoint was trained to read."""
    sentence = read_sentence(folder)
    return min(longest, (sentence and sentence.length) or longest)


def sentence_options(folder: Path) -> dict[str, Any]:
    """Return the options under which the summary of a text is its published embedding."""
    sentence = read_sentence(folder)
    if sentence is None:
        return {"pooling": "mean", "pooler": False}
    return {"pooling": sentence.pooling, "pooler": False, "normalized": sentence.normalized}


def write_options(options: "ModernBertOptions") -> dict[str, Any]:
    """Return the ``config.json`` of transformers."""
    values = {theirs: getattr(options, ours) for ours, theirs in COUNTS.items()}
    kinds = [
        "sliding_attention" if place % options.global_every else "full_attention"
        for place in range(options.layers)
    ]
    return {
        "model_type": "modernbert",
        "architectures": ["ModernBertModel"],
        **values,
        "intermediate_size": options.feed_forward,
        "global_attn_every_n_layers": options.global_every,
        "layer_types": kinds,
        "local_attention": 2 * options.reach,
        "global_rope_theta": options.global_base,
        "local_rope_theta": options.local_base,
        "rope_parameters": {
            newer: {"rope_type": "default", "rope_theta": getattr(options, ours)}
            for ours, (_, newer, _) in BASES.items()
        },
        "norm_eps": options.norm_epsilon,
        "pad_token_id": options.pad,
        "classifier_pooling": options.pooling,
        "embedding_dropout": options.dropout,
        "mlp_dropout": options.dropout,
        "classifier_dropout": options.dropout,
        "attention_dropout": options.attention_dropout,
        "tie_word_embeddings": options.tied,
    }


def published_head(options: "ModernBertOptions", task: PublishedTask) -> PublishedHead:
    """Return the names of a head in transformers; none where it has no such head.

    A classifier of tokens there has a layer before it that ours has not.
    """
    rows = {"vocab_size": options.token_rows or task.tokens}
    known = options.pooler and not options.normalized
    if task.pipeline == "fill-mask":
        return PublishedHead(FILLED, {**rows, "architectures": ["ModernBertForMaskedLM"]})
    if task.pipeline != "text-classification" or not known:
        return PublishedHead({}, rows)
    architectures = ["ModernBertForSequenceClassification"]
    return PublishedHead(LABELLED, {**rows, "architectures": architectures, **task.config()})


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, those of a bare encoder with the prefix of others."""
    read = read_weights(folder)
    if not any(name.startswith("model.") for name in read):
        read = {f"model.{name}": tensor for name, tensor in read.items()}
    return read


def table(options: "ModernBertOptions") -> dict[str, str]:
    """Return the published name of each module of the backbone."""
    names = dict(MODULES)
    for place in range(options.layers):
        for ours, theirs in BLOCK.items():
            names[f"backbone.blocks.{place}.{ours}"] = f"model.layers.{place}.{theirs}"
    return names


def publish(options: "ModernBertOptions", tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by their published names; those of a head keep theirs."""
    return rename(tensors, table(options))


def adopt(options: "ModernBertOptions", tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published tensors by our names; those that belong to neither keep theirs.

    The layer before the scores of a masked language model is also that before a classifier, which
    starts from it, unless there is one of its own.
    """
    names = {**table(options), **LABELLED, **FILLED}
    if not options.pooler or any(name.startswith("pooler.") for name in tensors):
        names = {ours: theirs for ours, theirs in names.items() if not theirs.startswith("head.")}
    adopted = rename(tensors, {theirs: ours for ours, theirs in names.items()})
    if any(name.startswith("decoder.") for name in tensors):
        adopted |= {name: each for name, each in tensors.items() if name.startswith("head.")}
    return adopted
