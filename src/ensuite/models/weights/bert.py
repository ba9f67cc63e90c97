"""Checkpoints of BERT and its family: RoBERTa, DistilBERT, CamemBERT, XLM-RoBERTa, ELECTRA."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ensuite.core.published import PublishedHead, PublishedTask, read_object, read_weights, rename
from ensuite.models.weights.config import Reader, require_tokenizer
from ensuite.models.weights.sentence import read_sentence
from ensuite.nn.position import sinusoids

if TYPE_CHECKING:
    from ensuite.models.bert import BertOptions

Names = Mapping[str, str]

ACTIVATIONS: Names = {
    "gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu",
}  # fmt: skip
"""Our activations by the names that a configuration may have for them."""

BERT_CONFIG: Names = {
    "token_rows": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "longest": "max_position_embeddings",
    "segments": "type_vocab_size",
    "activation": "hidden_act",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "norm_epsilon": "layer_norm_eps",
    "pad": "pad_token_id",
}

DISTILBERT_CONFIG: Names = {
    "token_rows": "vocab_size",
    "width": "dim",
    "layers": "n_layers",
    "heads": "n_heads",
    "inner": "hidden_dim",
    "longest": "max_position_embeddings",
    "activation": "activation",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "pad": "pad_token_id",
}

USUAL: Mapping[str, Any] = {
    "segments": 2, "activation": "gelu", "dropout": 0.1, "attention_dropout": 0.1,
    "norm_epsilon": 1e-12, "pad": 0,
}  # fmt: skip
"""What transformers takes where a configuration leaves an option out; the others are needed."""

BERT_BLOCK: Mapping[str, tuple[str, ...]] = {
    "project": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "output": ("attention.output.dense",),
    "attended": ("attention.output.LayerNorm",),
    "inner": ("intermediate.dense",),
    "outer": ("output.dense",),
    "norm": ("output.LayerNorm",),
}

DISTILBERT_BLOCK: Mapping[str, tuple[str, ...]] = {
    "project": ("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    "output": ("attention.out_lin",),
    "attended": ("sa_layer_norm",),
    "inner": ("ffn.lin1",),
    "outer": ("ffn.lin2",),
    "norm": ("output_layer_norm",),
}

EMBEDDINGS: Names = {
    "embed.tokens.weight": "embeddings.word_embeddings.weight",
    "embed.places.vectors.weight": "embeddings.position_embeddings.weight",
    "embed.segments.weight": "embeddings.token_type_embeddings.weight",
    "embed.norm.weight": "embeddings.LayerNorm.weight",
    "embed.norm.bias": "embeddings.LayerNorm.bias",
    "embed.project.weight": "embeddings_project.weight",
    "embed.project.bias": "embeddings_project.bias",
}

PLACES = EMBEDDINGS["embed.places.vectors.weight"]

LABELLED, TAGGED, ANSWERED = "text-classification", "token-classification", "question-answering"
FILLED, FOLLOWED = "fill-mask", "pretraining"

ENDINGS: Names = {
    LABELLED: "ForSequenceClassification",
    TAGGED: "ForTokenClassification",
    ANSWERED: "ForQuestionAnswering",
    FILLED: "ForMaskedLM",
    FOLLOWED: "ForPreTraining",
}
"""How transformers ends the name of an encoder with the head of a task."""

ON_TOKENS: Mapping[str, Names] = {
    TAGGED: {"head.linear": "classifier", "head.emissions.linear": "classifier"},
    ANSWERED: {"head.spans": "qa_outputs"},
}
"""Heads that read the state of each token, by task: our names, and the published ones."""


class Family(NamedTuple):
    """How one family of checkpoints names things.

    Attributes:
        architecture: What the names of its classes begin with in transformers.
        prefix: What the names of the encoder's tensors begin with.
        pooler: Name of the layer between [CLS] and a classifier in a checkpoint without one.
        pooled: Activation of that layer.
        labelled: The published names of a classifier of texts.
        filled: The published names of a masked language model.
        config: Names of the options in ``config.json``.
        usual: Options where the configuration leaves them out.
        blocks: Where the blocks are, and the names of their layers.
        block: Published names of the layers of a block, several for one that is split.
    """

    architecture: str
    prefix: str
    pooler: str
    pooled: str
    labelled: Names
    filled: Names
    config: Names = BERT_CONFIG
    usual: Mapping[str, Any] = USUAL
    blocks: str = "encoder.layer"
    block: Mapping[str, tuple[str, ...]] = BERT_BLOCK
    after_pad: bool = False


ONE_LAYER: Names = {"head.linear": "classifier"}

TWO_LAYERS: Names = {
    "backbone.pooler.dense": "classifier.dense",
    "head.linear": "classifier.out_proj",
}

ROBERTA = Family(
    architecture="Roberta",
    prefix="roberta",
    pooler="roberta.pooler.dense",
    pooled="tanh",
    labelled=TWO_LAYERS,
    filled={
        "head.dense": "lm_head.dense",
        "head.norm": "lm_head.layer_norm",
        "head.weight": "lm_head.decoder.weight",
        "head.bias": "lm_head.bias",
    },
    usual={**USUAL, "pad": 1},
    after_pad=True,
)

FAMILIES: Mapping[str, Family] = {
    "bert": Family(
        architecture="Bert",
        prefix="bert",
        pooler="bert.pooler.dense",
        pooled="tanh",
        labelled=ONE_LAYER,
        filled={
            "head.dense": "cls.predictions.transform.dense",
            "head.norm": "cls.predictions.transform.LayerNorm",
            "head.weight": "cls.predictions.decoder.weight",
            "head.bias": "cls.predictions.bias",
            "head.follows": "cls.seq_relationship",
        },
    ),
    "roberta": ROBERTA,
    "camembert": ROBERTA._replace(architecture="Camembert"),
    "xlm-roberta": ROBERTA._replace(architecture="XLMRoberta"),
    "distilbert": Family(
        architecture="DistilBert",
        prefix="distilbert",
        pooler="pre_classifier",
        pooled="relu",
        labelled=ONE_LAYER,
        filled={
            "head.dense": "vocab_transform",
            "head.norm": "vocab_layer_norm",
            "head.weight": "vocab_projector.weight",
            "head.bias": "vocab_projector.bias",
        },
        config=DISTILBERT_CONFIG,
        usual={**USUAL, "segments": 0},
        blocks="transformer.layer",
        block=DISTILBERT_BLOCK,
    ),
    "electra": Family(
        architecture="Electra",
        prefix="electra",
        pooler="electra.pooler.dense",
        pooled="gelu",
        labelled=TWO_LAYERS,
        filled={
            "head.dense": "generator_predictions.dense",
            "head.norm": "generator_predictions.LayerNorm",
            "head.weight": "generator_lm_head.weight",
            "head.bias": "generator_lm_head.bias",
        },
        config={**BERT_CONFIG, "embedding": "embedding_size"},
    ),
}
"""The families by ``model_type``. What has no published form keeps the name that is given here."""


# Options


def read_options(folder: Path) -> dict[str, Any]:
    """Return the options of a published checkpoint, as its ``config.json`` describes it.

    Raises:
        RunError: If the configuration lacks something, or is damaged; names it.
        UsageError: If the checkpoint is one that cannot be computed here.
    """
    require_tokenizer(folder)
    config = Reader(folder / "config.json", read_object(folder / "config.json"))
    name = config.text("model_type")
    family = FAMILIES[name]
    config.refuse("position_embedding_type", "absolute")
    config.refuse("is_decoder", False)
    config.refuse("add_cross_attention", False)
    options: dict[str, Any] = {"family": name, "pooler": family.pooled}
    for ours, theirs in family.config.items():
        if ours == "activation":
            options[ours] = config.choice(theirs, ACTIVATIONS, family.usual[ours])
        elif ours.endswith(("dropout", "epsilon")):
            options[ours] = config.number(theirs, family.usual[ours])
        else:
            options[ours] = config.count(theirs, family.usual.get(ours))
    options.setdefault("segments", family.usual["segments"])
    options["tied"] = config.flag("tie_word_embeddings", True)
    if family.after_pad:
        options["longest"] -= options["pad"] + 1
    sentence = read_sentence(folder)
    if sentence is not None and sentence.pooling == "mean":
        options |= {"pooling": "mean", "pooler": "none"}
    return options


def sentence_options(folder: Path) -> dict[str, Any]:
    """Return the options under which the summary of a text is its published embedding.

    A checkpoint that was not trained for that is summarised by the mean of its states.
    """
    sentence = read_sentence(folder)
    if sentence is None:
        return {"pooling": "mean", "pooler": "none"}
    return {"pooling": sentence.pooling, "pooler": "none", "normalized": sentence.normalized}


def longest_text(folder: Path, longest: int) -> int:
    """Return the most tokens of a text that a checkpoint was trained to read."""
    sentence = read_sentence(folder)
    return min(longest, (sentence and sentence.length) or longest)


def write_options(options: "BertOptions") -> dict[str, Any]:
    """Return the ``config.json`` of transformers; empty where it has no such network."""
    if not is_publishable(options):
        return {}
    family = FAMILIES[options.family]
    values = {name: getattr(options, name) for name in family.config}
    values |= {"inner": options.feed_forward, "activation": published_activation(options)}
    values["longest"] += first_place(options)
    if "embedding" in values:
        values["embedding"] = options.vector
    config = {theirs: values[ours] for ours, theirs in family.config.items()}
    architectures = [f"{family.architecture}Model"]
    tied = {} if options.tied else {"tie_word_embeddings": False}
    return {"model_type": options.family, "architectures": architectures, **config, **tied}


def is_publishable(options: "BertOptions") -> bool:
    """Say whether transformers has a network that computes the same states."""
    known = FAMILIES[options.family].config
    return (
        options.positions != "relative"
        and options.reach is None
        and (options.vector == options.width or "embedding" in known)
        and (options.segments > 0) == ("segments" in known)
    )


def published_activation(options: "BertOptions") -> str:
    """Return the name of the activation in a configuration."""
    return next(theirs for theirs, ours in ACTIVATIONS.items() if ours == options.activation)


def published_head(options: "BertOptions", task: PublishedTask) -> PublishedHead:
    """Return the names of a head in transformers; none where it has no such head."""
    family = FAMILIES[options.family]
    if not is_publishable(options):
        return PublishedHead()
    rows = {family.config["token_rows"]: options.token_rows or task.tokens}
    pooled = (options.pooling, options.pooler, options.normalized) == ("cls", family.pooled, False)
    if task.pipeline not in ENDINGS or (task.pipeline in (LABELLED, FOLLOWED) and not pooled):
        return PublishedHead({}, rows)
    if task.pipeline == FOLLOWED and "head.follows" not in family.filled:
        return PublishedHead({}, rows)
    architectures = [family.architecture + ENDINGS[task.pipeline]]
    config = {**rows, "architectures": architectures, **task.config()}
    return PublishedHead(head_names(family, task.pipeline), config)


def head_names(family: Family, pipeline: str) -> Names:
    """Return the published names of the head of a task by ours."""
    if pipeline in ON_TOKENS:
        return ON_TOKENS[pipeline]
    return family.labelled if pipeline == LABELLED else family.filled


# Tensors


def read_tensors(options: "BertOptions", folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint by the names that :func:`publish` gives.

    Old names (gamma, beta) and names without a prefix are brought up to date. The layer before a
    classifier is left out where the options have none.
    """
    family = FAMILIES[options.family]
    read = {modern(name): tensor for name, tensor in read_weights(folder).items()}
    read = {n: tensor for n, tensor in read.items() if not n.endswith("position_ids")}
    if not any(name.startswith(f"{family.prefix}.") for name in read):
        read = {f"{family.prefix}.{name}": tensor for name, tensor in read.items()}
    own = f"{family.prefix}.pooler."
    keeps = options.pooler != "none" and family.pooler.startswith(own)
    return {name: tensor for name, tensor in read.items() if keeps or not name.startswith(own)}


def modern(name: str) -> str:
    """Return the name that a tensor has today.

    >>> modern("bert.embeddings.LayerNorm.gamma")
    'bert.embeddings.LayerNorm.weight'
    """
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def table(options: "BertOptions") -> dict[str, tuple[str, ...]]:
    """Return the published names of each tensor of the backbone, several where it is split."""
    family = FAMILIES[options.family]
    names: dict[str, tuple[str, ...]] = {
        ours: (f"{family.prefix}.{theirs}",) for ours, theirs in EMBEDDINGS.items()
    }
    for number in range(options.layers):
        for ours, theirs in family.block.items():
            for part in ("weight", "bias"):
                names[f"blocks.{number}.{ours}.{part}"] = tuple(
                    f"{family.prefix}.{family.blocks}.{number}.{each}.{part}" for each in theirs
                )
    names |= {f"pooler.dense.{part}": (f"{family.pooler}.{part}",) for part in ("weight", "bias")}
    return {f"backbone.{ours}": theirs for ours, theirs in names.items()}


def publish(options: "BertOptions", tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by their published names; those of a head keep theirs."""
    names, published = table(options), dict[str, Tensor]()
    for name, tensor in tensors.items():
        theirs = names.get(name, (name,))
        published |= dict(
            zip(theirs, tensor.chunk(len(theirs)) if theirs[1:] else [tensor], strict=True)
        )
    prefix = FAMILIES[options.family].prefix
    places = f"{prefix}.{PLACES}"
    if options.positions == "sinusoidal":
        published[places] = sinusoids(torch.arange(options.longest), options.vector)
    if places in published and first_place(options):
        before = published[places].new_zeros(first_place(options), options.vector)
        published[places] = torch.cat([before, published[places]])
    bias, own = projection_biases(options)
    if bias in published and not options.tied:
        published[own] = published[bias].clone()
    return published


def adopt(options: "BertOptions", tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return published tensors by our names; those that belong to neither keep theirs."""
    family, left = FAMILIES[options.family], dict(tensors)
    places = f"{family.prefix}.{PLACES}"
    if options.positions != "learned":
        left.pop(places, None)
    elif places in left:
        left[places] = left[places][first_place(options) :]
    bias, own = projection_biases(options)
    if own in left and not options.tied:
        left[bias] = left.pop(own)
    adopted = dict[str, Tensor]()
    for ours, theirs in table(options).items():
        if all(name in left for name in theirs):
            parts = [left.pop(name) for name in theirs]
            adopted[ours] = torch.cat(parts) if parts[1:] else parts[0]
    joint = any(name.startswith("head.crf.") for name in left)
    for names in (family.labelled, family.filled, *ON_TOKENS.values()):
        found = {theirs: ours for ours, theirs in names.items() if ("emissions" in ours) == joint}
        left = rename(left, found)
    return {**adopted, **left}


def projection_biases(options: "BertOptions") -> tuple[str, str]:
    """Return the published name of the bias over tokens, and that of its output projection.

    They are one parameter where the projection is tied to the token embedding. Where it is not,
    transformers computes with the second.
    """
    names = FAMILIES[options.family].filled
    return names["head.bias"], names["head.weight"].removesuffix("weight") + "bias"


def first_place(options: "BertOptions") -> int:
    """Return the row of the published position embeddings that is the first position's.

    RoBERTa counts positions from the id of padding on.
    """
    return options.pad + 1 if FAMILIES[options.family].after_pad else 0
