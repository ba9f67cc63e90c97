"""The catalog: backbones and tasks that can be chosen by name, a row each, without imports."""

from ensuite.core.errors import UsageError, nearest
from ensuite.core.registry import Registry, Row

_CAUSAL = ("sequence", "causal", "steps", "carries")
_POSITIONS = ("tokens", "characters", "values", "image")

BACKBONES: dict[str, Row] = {
    "mlp": Row(
        target="ensuite.models.mlp:MLPOptions",
        caption="multilayer perceptron: a row of numbers, an image or a series as one long vector",
        reads=("row", "image", "values"),
        paper="Rumelhart, Hinton & Williams, Nature 323",
        year=1986,
    ),
    "conv": Row(
        target="ensuite.models.conv:ConvOptions",
        caption="convolutions: the same filters everywhere over time, or over a picture",
        traits=("sequence", "two-sided"),
        reads=_POSITIONS,
        paper="LeCun et al., Neural Computation 1",
        year=1989,
    ),
    "rnn": Row(
        target="ensuite.models.recurrent:RecurrentOptions",
        preset={"cell": "rnn"},
        caption="plain recurrent network: one state, updated at each step",
        traits=_CAUSAL,
        reads=_POSITIONS,
        paper="Elman, Cognitive Science 14",
        year=1990,
    ),
    "lstm": Row(
        target="ensuite.models.recurrent:RecurrentOptions",
        preset={"cell": "lstm"},
        caption="long short-term memory: a cell that three gates guard",
        traits=_CAUSAL,
        reads=_POSITIONS,
        paper="Hochreiter & Schmidhuber, Neural Computation 9",
        year=1997,
    ),
    "gru": Row(
        target="ensuite.models.recurrent:RecurrentOptions",
        preset={"cell": "gru"},
        caption="gated recurrent unit: two gates, no cell of its own",
        traits=_CAUSAL,
        reads=_POSITIONS,
        paper="Cho et al., EMNLP",
        year=2014,
    ),
    "seq2seq": Row(
        target="ensuite.models.seq2seq:Seq2SeqOptions",
        caption="recurrent encoder and decoder, with or without attention",
        traits=("decodes", "steps"),
        reads=("tokens", "image"),
        paper="Sutskever, Vinyals & Le, NeurIPS; Bahdanau, Cho & Bengio, ICLR",
        year=2014,
    ),
    "transformer": Row(
        target="ensuite.models.transformer:TransformerOptions",
        caption="self-attention encoder, with a decoder where the task generates text",
        traits=("sequence", "two-sided", "decodes", "steps"),
        reads=("tokens", "values"),
        paper="Vaswani et al., NeurIPS",
        year=2017,
    ),
}

TASKS: dict[str, Row] = {
    "classify": Row(
        target="ensuite.tasks.classify:Classify",
        caption="sequence, image or table classification, one label or several",
        reads=("tokens", "values", "image", "row"),
        baselines=(
            "ensuite.baselines.classify:MostFrequent",
            "ensuite.baselines.classify:TfidfLogistic",
            "ensuite.baselines.classify:NumberLogistic",
        ),
        metrics=(
            "accuracy",
            "balanced_accuracy",
            "macro_f1",
            "micro_f1",
            "log_loss",
            "calibration_error",
        ),
    ),
    "regress": Row(
        target="ensuite.tasks.regress:Regress",
        caption="regression: a number, or several, for a text, series, image or row",
        reads=("tokens", "values", "image", "row"),
        baselines=(
            "ensuite.baselines.regress:Mean",
            "ensuite.baselines.regress:TfidfRidge",
            "ensuite.baselines.regress:NumberRidge",
        ),
        metrics=("mae", "rmse", "r2", "mae_*"),
    ),
    "tag": Row(
        target="ensuite.tasks.tag:Tag",
        caption="token classification: a tag for every word (names, parts of speech)",
        traits=("sequence",),
        reads=("tokens",),
        baselines=("ensuite.baselines.tag:MostFrequentTag",),
        metrics=("entity_f1", "entity_precision", "entity_recall", "accuracy"),
    ),
    "forecast": Row(
        target="ensuite.tasks.forecast:Forecast",
        caption="probabilistic time series forecasting: the next steps, with intervals",
        reads=("values",),
        baselines=(
            "ensuite.baselines.forecast:LastValue",
            "ensuite.baselines.forecast:SeasonalNaive",
            "ensuite.baselines.forecast:Drift",
            "ensuite.baselines.forecast:LinearLayer",
        ),
        metrics=(
            "mase",
            "smape",
            "coverage_95",
            "mae",
            "rmse",
            "wql",
            "coverage_80",
            "width_95",
            "scaled_mse",
            "scaled_mae",
            "mae_h*",
            "coverage_95_h*",
        ),
    ),
    "generate": Row(
        target="ensuite.tasks.generate:Generate",
        caption="causal language modelling: go on with a text, tell how likely one is",
        traits=("sequence", "causal", "steps"),
        reads=("tokens",),
        baselines=("ensuite.baselines.generate:NGram",),
        metrics=("bits_per_byte", "perplexity"),
    ),
    "translate": Row(
        target="ensuite.tasks.translate:Translate",
        caption="sequence to sequence: any text to text",
        traits=("decodes", "steps"),
        reads=("tokens",),
        baselines=(
            "ensuite.baselines.translate:Copy",
            "ensuite.baselines.translate:LeadSentence",
            "ensuite.baselines.translate:NearestPair",
        ),
        metrics=(
            "chrf",
            "bleu",
            "bleu_all_references",
            "rouge_l",
            "exact_match",
            "word_error_rate",
        ),
    ),
    "caption": Row(
        target="ensuite.tasks.caption:Caption",
        caption="image to sequence: say in words what a picture shows",
        traits=("decodes", "steps"),
        reads=("image",),
        baselines=("ensuite.baselines.caption:MostFrequentCaption",),
        metrics=("bleu", "exact_match"),
    ),
}

ELSEWHERE: dict[str, str] = {
    "text-classification": "classify",
    "sentiment-analysis": "classify",
    "sequence-classification": "classify",
    "image-classification": "classify",
    "classification": "classify",
    "regression": "regress",
    "text-regression": "regress",
    "image-regression": "regress",
    "tabular-regression": "regress",
    "forecasting": "forecast",
    "time-series-forecasting": "forecast",
    "token-classification": "tag",
    "sequence-labeling": "tag",
    "sequence-labelling": "tag",
    "ner": "tag",
    "named-entity-recognition": "tag",
    "pos": "tag",
    "pos-tagging": "tag",
    "causal-lm": "generate",
    "language-modeling": "generate",
    "language-modelling": "generate",
    "text-generation": "generate",
    "image-captioning": "caption",
    "image-to-text": "caption",
    "captioning": "caption",
    "translation": "translate",
    "summarization": "translate",
    "text2text-generation": "translate",
    "cnn": "conv",
    "convnet": "conv",
    "textcnn": "conv",
    "tcn": "conv",
    "simplernn": "rnn",
    "perceptron": "mlp",
    "dense": "mlp",
    "feedforward": "mlp",
    "encoder-decoder": "seq2seq",
    "self-attention": "transformer",
    "lm": "generate",
    "sentiment": "classify",
    "tabular-classification": "classify",
    "seq2seq-lm": "translate",
    "summarize": "translate",
    "time-series": "forecast",
    "tagging": "tag",
    "elman": "rnn",
}
"""Names of other packages for what has another name here."""

backbones = Registry("model", "ensuite.backbones")
tasks = Registry("task", "ensuite.tasks")


PUBLISHED = ("bert", "roberta", "distilbert", "camembert", "albert", "gpt", "llama", "t5", "bart")
"""Families whose published checkpoints people name."""


def require_task(name: str) -> Row:
    """Return the row of a task.

    Raises:
        UsageError: If there is none; knows the words of other packages.
    """
    if name not in tasks and (ours := _ours(name, tasks)):
        raise UsageError(f'"{name}" is `{ours}` here.')
    return tasks.find(name, f"There is: {', '.join(sorted(tasks))}.")


def require_order(task: str, data: object) -> None:
    """Refuse a task and data that are given in the other order.

    Raises:
        UsageError: Gives the order.
    """
    if task not in tasks and isinstance(data, str) and (data in tasks or _ours(data, tasks)):
        ours = data if data in tasks else _ours(data, tasks)
        raise UsageError(f"The task comes first, then the data: {ours} {task}.")


def require_metric(name: str, task: str) -> None:
    """Refuse a metric that a task never has.

    Raises:
        UsageError: Names the nearest.
    """
    row = require_task(task)
    if not row.measures(name):
        known = [each for each in row.metrics if "*" not in each]
        raise UsageError(
            f'There is no metric "{name}" of {task}{nearest(name, known) or "."} '
            f"There is: {', '.join(known)}."
        )


def require_model(name: str, task: str = "") -> Row:
    """Return the row of a backbone.

    Raises:
        UsageError: If there is none; knows the words of other packages.
    """
    if name not in backbones and (ours := _ours(name, backbones)):
        raise UsageError(f'"{name}" is `{ours}` here.')
    listing = f"`ensuite models{f' --task {task}' if task else ''}` lists them"
    if "," in name:
        raise UsageError(
            f'"{name}" is several models, and one is trained at a time; `ensuite compare '
            f"{task or 'TASK'} DATA --models {name}` compares them."
        )
    if name not in backbones and name.lower().rpartition("/")[2].startswith(PUBLISHED):
        raise UsageError(
            f'There is no model "{name}"{nearest(name, backbones) or "."} {listing}. A published '
            "checkpoint is named by the folder that it was downloaded to."
        )
    return backbones.find(name, f"{listing}.")


def is_meant(name: str) -> bool:
    """Return whether a name that is no model looks like one."""
    lower = name.lower()
    close = _ours(name, backbones) or nearest(name, backbones)
    return bool(close) or lower.rpartition("/")[2].startswith(PUBLISHED)


def _ours(name: str, known: Registry) -> str:
    """Return our name for one that is known elsewhere, or in capitals; empty if there is none."""
    lower = name.lower()
    ours = lower if lower in known else ELSEWHERE.get(lower, "")
    return ours if ours in known else ""
